"""What one person does in one visit, as statements without their timestamps. See :mod:`.generator`."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

import msgspec

from collegium_workers.transfer.vocabulary import COURSES, NAMES, REMARKS, VERBS, CourseOutline, Question

__all__ = ["Event", "World", "build_world", "visit"]

_PEOPLE: Final = 400
_HOME: Final = "https://learn.example.org"
_VIDEO: Final = "https://w3id.org/xapi/video"
_EXTENSION: Final = f"{_VIDEO}/extensions"
_PROGRESS: Final = "https://w3id.org/xapi/cmi5/result/extensions/progress"
_THRESHOLD: Final = 0.9


class Event(NamedTuple):
    """One statement to come: how long after the one before, its id, and its other members as JSON."""

    after_milliseconds: int
    id: str
    body: str


class Person(msgspec.Struct):
    """One learner: the actor as JSON, and how far they are in each course (0 to 100)."""

    actor: str
    group: str
    registrations: dict[int, str]
    progress: dict[int, int]


class Course(msgspec.Struct, frozen=True):
    """One course with the JSON of everything in it that statements point at."""

    number: int
    language: str
    activity: str
    verbs: dict[str, str]
    videos: tuple[tuple[str, float], ...]
    quiz: str
    questions: tuple[tuple[Question, str], ...]
    forum: str
    remarks: tuple[str, ...]
    instructor: str
    parent: str
    setting: str


class World(msgspec.Struct, frozen=True):
    """Everybody and everything; made once from the seed."""

    people: tuple[Person, ...]
    courses: tuple[Course, ...]


def build_world(draw: random.Random) -> World:
    """Return the people and courses of one seed."""
    courses = tuple(_build_course(draw, number, outline) for number, outline in enumerate(COURSES))
    return World(people=tuple(_build_person(draw, number) for number in range(_PEOPLE)), courses=courses)


def visit(draw: random.Random, world: World) -> Iterator[Event]:
    """Yield what one person does in one visit: at least one event."""
    person = draw.choice(world.people)
    course = draw.choice(world.courses)
    return _Visit(draw, person, course).events()


class _Visit:
    """One visit of one person to one course."""

    def __init__(self, draw: random.Random, person: Person, course: Course) -> None:
        self._draw = draw
        self._person = person
        self._course = course

    def events(self) -> Iterator[Event]:
        person, course, draw = self._person, self._course, self._draw
        if course.number not in person.registrations:
            person.registrations[course.number] = _uuid(draw)
            person.progress[course.number] = 0
            yield self._event("registered", course.activity, "", pause=1.0)
        scene: Callable[[], Iterator[Event]] = draw.choices(
            (self._watch, self._take_quiz, self._discuss), weights=(70, 20, 10)
        )[0]
        yield from scene()
        reached = person.progress[course.number]
        if reached < 100:
            reached = min(100, reached + draw.randint(2, 9))
            person.progress[course.number] = reached
            yield self._event(
                "progressed", course.activity, f'"result":{{"extensions":{{"{_PROGRESS}":{reached}}}}},', pause=2.0
            )
            if reached == 100:
                yield self._event(
                    "completed", course.activity, '"result":{"completion":true,"duration":"P31DT4H"},', pause=1.0
                )

    def _event(self, verb: str, target: str, result: str, *, pause: float, context: str = "", actor: str = "") -> Event:
        course, draw = self._course, self._draw
        registration = self._person.registrations[course.number]
        body = (
            f'"actor":{actor or self._person.actor},"verb":{course.verbs[verb]},"object":{target},{result}'
            f'"context":{{"registration":"{registration}","language":"{course.language}",'
            f"{context or course.setting}}}"
        )
        return Event(int(draw.uniform(0.5, 1.5) * pause * 1000), _uuid(draw), body)

    def _watch(self) -> Iterator[Event]:
        draw, course = self._draw, self._course
        video, length = draw.choice(course.videos)
        session = f'"{_EXTENSION}/session-id":"{_uuid(draw)}"'
        context = (
            f'"platform":"{_HOME}","contextActivities":{{"category":[{{"id":"{_VIDEO}"}}],"parent":[{course.activity}]}},'
            f'"extensions":{{{session},"{_EXTENSION}/length":{length}}}'
        )
        opening = (
            f'"platform":"{_HOME}","contextActivities":{{"category":[{{"id":"{_VIDEO}"}}],"parent":[{course.activity}]}},'
            f'"extensions":{{{session},"{_EXTENSION}/length":{length},'
            f'"{_EXTENSION}/completion-threshold":{_THRESHOLD},"{_EXTENSION}/speed":"{draw.choice(("1x", "1.25x"))}",'
            f'"{_EXTENSION}/volume":{draw.randint(2, 10) / 10},"{_EXTENSION}/cc-subtitle-enabled":'
            f"{draw.choice(('true', 'false'))}}}"
        )
        yield self._event("initialized", video, "", pause=3.0, context=opening)
        place, seen, segments, waited = 0.0, 0.0, "", 1.0
        for _ in range(draw.randint(1, 7)):
            yield self._event("played", video, _times({"time": place}), pause=waited, context=context)
            end = round(min(length, place + draw.expovariate(3 / length) + 1), 3)
            waited = end - place
            seen = min(length, seen + waited)
            segments += f"{'[,]' if segments else ''}{place}[.]{end}"
            progress = round(seen / length, 3)
            place = end
            if end >= length:
                break
            if draw.random() < 0.6:
                played = f',"{_EXTENSION}/progress":{progress},"{_EXTENSION}/played-segments":"{segments}"'
                yield self._event("paused", video, _times({"time": place}, played), pause=waited, context=context)
                waited = 12.0
            elif draw.random() < 0.8:
                to = round(draw.uniform(0, length), 3)
                yield self._event(
                    "seeked", video, _times({"time-from": place, "time-to": to}), pause=waited, context=context
                )
                place, waited = to, 1.0
            else:
                yield self._event("interacted", video, _times({"time": place}), pause=waited, context=context)
                waited = 1.0
        progress = round(seen / length, 3)
        played = f',"{_EXTENSION}/progress":{progress},"{_EXTENSION}/played-segments":"{segments}"'
        if progress >= _THRESHOLD:
            done = _times({"time": place}, played, head=f'"completion":true,"duration":"PT{seen:.2f}S",')
            yield self._event("completed", video, done, pause=waited, context=context)
        yield self._event("terminated", video, _times({"time": place}, played), pause=1.0, context=context)

    def _take_quiz(self) -> Iterator[Event]:
        draw, course = self._draw, self._course
        context = (
            f'"platform":"{_HOME}","contextActivities":{{"parent":[{course.quiz}],"grouping":[{course.activity}]}}'
        )
        yield self._event("attempted", course.quiz, "", pause=4.0)
        points = 0
        for question, activity in course.questions:
            knows = draw.random() < 0.7
            response = question.right if knows else draw.choice(question.wrong)
            points += knows
            seconds = draw.uniform(4, 90)
            outcome = 'true,"score":{"scaled":1}' if knows else 'false,"score":{"scaled":0}'
            result = f'"result":{{"response":{_text(response)},"duration":"PT{seconds:.2f}S","success":{outcome}}},'
            yield self._event("answered", activity, result, pause=seconds, context=context)
        most = len(course.questions)
        scaled = round(points / most, 4)
        passed = scaled >= 0.5
        result = (
            f'"result":{{"score":{{"scaled":{scaled},"raw":{points},"min":0,"max":{most}}},'
            f'"success":{"true" if passed else "false"},"completion":true}},'
        )
        yield self._event("passed" if passed else "failed", course.quiz, result, pause=1.0)

    def _discuss(self) -> Iterator[Event]:
        draw, course = self._draw, self._course
        team = f'"instructor":{course.instructor},"team":{self._person.group},{course.setting}'
        remark = self._event(
            "commented",
            course.forum,
            f'"result":{{"response":{draw.choice(course.remarks)}}},',
            pause=30.0,
            context=team,
        )
        yield remark
        if draw.random() < 0.5:
            target = f'{{"objectType":"StatementRef","id":"{remark.id}"}}'
            # No platform here: the standard allows it for activities alone (xAPI-Data 4.1.6.3).
            yield self._event("responded", target, "", pause=600.0, context=course.parent, actor=course.instructor)


def _build_person(draw: random.Random, number: int) -> Person:
    name = NAMES[number % len(NAMES)]
    mailbox = f"mailto:learner{number}@example.org"
    identifier: dict[str, Any]
    kind = draw.random()
    if kind < 0.6:
        identifier = {"account": {"homePage": _HOME, "name": _uuid(draw)}}
    elif kind < 0.85:
        identifier = {"mbox": mailbox}
    elif kind < 0.95:
        # What xAPI calls for; nothing is protected by it (xAPI-Data 4.1.2.3.1).
        identifier = {"mbox_sha1sum": hashlib.sha1(mailbox.encode(), usedforsecurity=False).hexdigest()}
    else:
        identifier = {"openid": f"https://id.example.org/learner{number}"}
    group = {
        "objectType": "Group",
        "name": f"Group {number % 12 + 1}",
        "account": {"homePage": _HOME, "name": f"group-{number % 12 + 1}"},
    }
    actor = _json({"objectType": "Agent", "name": name, **identifier})
    return Person(actor=actor, group=_json(group), registrations={}, progress={})


def _build_course(draw: random.Random, number: int, outline: CourseOutline) -> Course:
    tag = outline.language
    place = f"{_HOME}/courses/{number + 1}"
    activity = {
        "id": place,
        "definition": {
            "type": "http://adlnet.gov/expapi/activities/course",
            "name": {tag: outline.title},
            "extensions": {f"{_HOME}/extensions/course-key": outline.key},
        },
    }
    videos = tuple(
        (_json(_part(f"{place}/videos/{n + 1}", f"{_VIDEO}/activity-type/video", tag, topic)), _length(draw))
        for n, topic in enumerate(outline.topics)
    )
    questions = tuple(
        (question, _json(_question(f"{place}/quiz#{n + 1}", tag, question)))
        for n, question in enumerate(outline.questions)
    )
    quiz = _part(f"{place}/quiz", "http://adlnet.gov/expapi/activities/assessment", tag, outline.title)
    forum = _part(f"{place}/forum", "http://id.tincanapi.com/activitytype/discussion", tag, outline.title)
    verbs = {name: _json({"id": iri, "display": {tag: words[tag]}}) for name, (iri, words) in VERBS.items()}
    instructor = {"objectType": "Agent", "account": {"homePage": _HOME, "name": f"instructor-{number + 1}"}}
    parent = f'"contextActivities":{{"parent":[{_json(activity)}]}}'
    return Course(
        number=number,
        language=tag,
        activity=_json(activity),
        verbs=verbs,
        videos=videos,
        quiz=_json(quiz),
        questions=questions,
        forum=_json(forum),
        remarks=tuple(_text(remark) for remark in REMARKS[tag]),
        instructor=_json(instructor),
        parent=parent,
        setting=f'"platform":"{_HOME}",{parent}',
    )


def _part(iri: str, kind: str, tag: str, name: str) -> dict[str, Any]:
    return {"objectType": "Activity", "id": iri, "definition": {"type": kind, "name": {tag: name}}}


def _question(iri: str, tag: str, question: Question) -> dict[str, Any]:
    definition: dict[str, Any] = {
        "type": "http://adlnet.gov/expapi/activities/cmi.interaction",
        "interactionType": question.kind,
        "description": {tag: question.text},
        "correctResponsesPattern": [question.right],
    }
    if question.kind == "choice":
        definition["choices"] = [
            {"id": answer, "description": {tag: answer}} for answer in (question.right, *question.wrong)
        ]
    return {"objectType": "Activity", "id": iri, "definition": definition}


def _length(draw: random.Random) -> float:
    return round(draw.uniform(150, 900), 2)


def _times(times: Mapping[str, float], extra: str = "", *, head: str = "") -> str:
    """Return a result whose extensions hold *times* by their name in the video profile."""
    members = ",".join(f'"{_EXTENSION}/{name}":{value}' for name, value in times.items())
    return f'"result":{{{head}"extensions":{{{members}{extra}}}}},'


def _uuid(draw: random.Random) -> str:
    """Return a version 4 UUID from *draw*."""
    digits = f"{draw.getrandbits(128):032x}"
    variant = "89ab"[int(digits[16], 16) & 3]
    return f"{digits[:8]}-{digits[8:12]}-4{digits[13:16]}-{variant}{digits[17:20]}-{digits[20:]}"


def _json(value: object) -> str:
    return msgspec.json.encode(value).decode()


def _text(value: str) -> str:
    return _json(value)
