"""The small world that made-up statements speak of: people, courses, videos, questions, in several languages."""

from __future__ import annotations

from typing import Final

import msgspec

__all__ = ["COURSES", "NAMES", "REMARKS", "VERBS", "CourseOutline", "Question"]

# Verbs of the xAPI video profile 1.0.3, of cmi5 and of ADL; one display per language that a course is given in.
VERBS: Final[dict[str, tuple[str, dict[str, str]]]] = {
    "initialized": (
        "http://adlnet.gov/expapi/verbs/initialized",
        {"en": "initialized", "fr": "a initialisé", "de": "initialisierte", "ja": "初期化した", "ar": "بدأ"},
    ),
    "played": (
        "https://w3id.org/xapi/video/verbs/played",
        {"en": "played", "fr": "a lu", "de": "spielte ab", "ja": "再生した", "ar": "شغّل"},
    ),
    "paused": (
        "https://w3id.org/xapi/video/verbs/paused",
        {"en": "paused", "fr": "a mis en pause", "de": "hielt an", "ja": "一時停止した", "ar": "أوقف مؤقتًا"},
    ),
    "seeked": (
        "https://w3id.org/xapi/video/verbs/seeked",
        {"en": "seeked", "fr": "s'est déplacé", "de": "sprang", "ja": "移動した", "ar": "انتقل"},
    ),
    "interacted": (
        "http://adlnet.gov/expapi/verbs/interacted",
        {"en": "interacted", "fr": "a interagi", "de": "bediente", "ja": "操作した", "ar": "تفاعل"},
    ),
    "completed": (
        "http://adlnet.gov/expapi/verbs/completed",
        {"en": "completed", "fr": "a terminé", "de": "schloss ab", "ja": "完了した", "ar": "أكمل"},
    ),
    "terminated": (
        "http://adlnet.gov/expapi/verbs/terminated",
        {"en": "terminated", "fr": "a quitté", "de": "beendete", "ja": "終了した", "ar": "أنهى"},
    ),
    "registered": (
        "http://adlnet.gov/expapi/verbs/registered",
        {"en": "registered", "fr": "s'est inscrit", "de": "schrieb sich ein", "ja": "登録した", "ar": "سجّل"},
    ),
    "attempted": (
        "http://adlnet.gov/expapi/verbs/attempted",
        {"en": "attempted", "fr": "a tenté", "de": "versuchte", "ja": "試みた", "ar": "حاول"},
    ),
    "answered": (
        "http://adlnet.gov/expapi/verbs/answered",
        {"en": "answered", "fr": "a répondu", "de": "beantwortete", "ja": "回答した", "ar": "أجاب"},
    ),
    "passed": (
        "http://adlnet.gov/expapi/verbs/passed",
        {"en": "passed", "fr": "a réussi", "de": "bestand", "ja": "合格した", "ar": "نجح"},
    ),
    "failed": (
        "http://adlnet.gov/expapi/verbs/failed",
        {"en": "failed", "fr": "a échoué", "de": "bestand nicht", "ja": "不合格になった", "ar": "رسب"},
    ),
    "progressed": (
        "http://adlnet.gov/expapi/verbs/progressed",
        {"en": "progressed", "fr": "a progressé", "de": "kam voran", "ja": "進んだ", "ar": "تقدّم"},
    ),
    "commented": (
        "http://adlnet.gov/expapi/verbs/commented",
        {"en": "commented", "fr": "a commenté", "de": "kommentierte", "ja": "コメントした", "ar": "علّق"},
    ),
    "responded": (
        "http://adlnet.gov/expapi/verbs/responded",
        {"en": "responded", "fr": "a répliqué", "de": "erwiderte", "ja": "返信した", "ar": "ردّ"},
    ),
}


class Question(msgspec.Struct, frozen=True):
    """One question of a quiz, an interaction activity.

    :param kind: the interaction type (xAPI-Data, appendix C).
    :param right: the correct response; *wrong* are the others that learners give.
    """

    kind: str
    text: str
    right: str
    wrong: tuple[str, ...]


class CourseOutline(msgspec.Struct, frozen=True):
    """One course: where it is, in which language, and what its videos and questions are about."""

    key: str
    language: str
    title: str
    topics: tuple[str, ...]
    questions: tuple[Question, ...]


COURSES: Final[tuple[CourseOutline, ...]] = (
    CourseOutline(
        key="course-v1:Harbour+OCEAN101+2026",
        language="en",
        title="How oceans move",
        topics=("Tides", "Winds and waves", "The Gulf Stream", "Deep water", "El Niño", "Measuring the sea"),
        questions=(
            Question("choice", "What pulls the tides?", "moon", ("wind", "salt", "whales")),
            Question("true-false", "Deep water is warmer than surface water.", "false", ("true",)),
            Question("numeric", "How many high tides does a day usually have?", "2", ("1", "3", "4")),
            Question("fill-in", "Which current warms western Europe?", "Gulf Stream", ("Agulhas", "Humboldt")),
        ),
    ),
    CourseOutline(
        key="course-v1:Lumière+CINE-02+2026",
        language="fr",
        title="L'image en mouvement",
        topics=("Le cadre", "La lumière", "Le montage", "Le son", "L'écriture d'une scène"),
        questions=(
            Question("choice", "Qui tourna le premier film projeté ?", "lumiere", ("melies", "gaumont")),
            Question("true-false", "Un plan-séquence compte plusieurs coupes.", "false", ("true",)),
            Question("numeric", "Combien d'images par seconde au cinéma ?", "24", ("12", "60")),
        ),
    ),
    CourseOutline(
        key="course-v1:Werkhof+STAT-1+2026",
        language="de",
        title="Schätzen und Prüfen",
        topics=("Stichproben", "Streuung", "Verteilungen", "Vertrauensbereiche", "Größere Modelle", "Fehlschlüsse"),
        questions=(
            Question("choice", "Was misst die Streuung am einfachsten?", "spannweite", ("median", "mittel")),
            Question("numeric", "Wie groß ist der Median von 1, 3, 8?", "3", ("4", "8")),
            Question("true-false", "Korrelation beweist Ursache.", "false", ("true",)),
        ),
    ),
    CourseOutline(
        key="course-v1:Sakura+NET-5+2026",
        language="ja",
        title="はじめてのネットワーク",
        topics=("パケット", "アドレス", "ルーティング", "名前解決", "暗号化"),
        questions=(
            Question("choice", "名前をアドレスに変えるのはどれですか。", "dns", ("nat", "arp")),
            Question("numeric", "IPv4アドレスは何ビットですか。", "32", ("64", "128")),
        ),
    ),
    CourseOutline(
        key="course-v1:Atlas+MATH-3+2026",
        language="ar",
        title="مدخل إلى الجبر",
        topics=("المجهول", "المعادلات", "الجذور", "المتراجحات"),
        questions=(
            Question("numeric", "ما قيمة س إذا كان 2س = 10؟", "5", ("2", "20")),
            Question("true-false", "لكل معادلة حل واحد دائمًا.", "false", ("true",)),
        ),
    ),
)

NAMES: Final[tuple[str, ...]] = (
    "Ada Nkemelu",
    "Benoît Lefèvre",
    "Clara Weiß",
    "Đặng Thu Hà",
    "Elif Şahin",
    "Farid Haddad",
    "Grace O'Neill",
    "Hiroshi Tanaka",
    "Ingrid Sørensen",
    "João Araújo",
    "Katarzyna Wójcik",
    "Liam Byrne",
    "María José Peña",
    "Nadia El Amrani",
    "Olga Петрова",
    "Priya Raman",
    "Quentin Dubois",
    "Ruth Mwangi",
    "佐藤 美咲",
    "Tomáš Dvořák",
    "Uma Krishnan",
    "Viktor Horváth",
    "王 小明",
    "Ximena Ríos",
    "ياسمين خليل",
    "Zoë van Dijk",
)

REMARKS: Final[dict[str, tuple[str, ...]]] = {
    "en": ("Could you show the second step again?", 'The term "steady state" is not clear to me.', "Loved it 👍"),
    "fr": ("Où trouve-t-on l'extrait complet ?", "Merci, c'était très clair !", "Le son est un peu faible à 3 min."),
    "de": ("Warum teilt man hier durch n - 1?", "Schönes Beispiel, danke.", "Die Übung 4 hat einen Tippfehler."),
    "ja": ("図をもう一度見たいです。", "とても分かりやすかったです。"),
    "ar": ("هل يمكن إعادة المثال الأخير؟", "شكرًا، الشرح واضح."),
}
