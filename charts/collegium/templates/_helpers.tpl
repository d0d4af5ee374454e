{{/* Prefix of every name; short enough for what the operator appends to it. */}}
{{- define "collegium.fullname" -}}
{{- if contains "collegium" .Release.Name -}}
{{- .Release.Name | trunc 33 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-collegium" (.Release.Name | trunc 23 | trimSuffix "-") -}}
{{- end -}}
{{- end -}}

{{- define "collegium.identity" -}}
app.kubernetes.io/name: collegium
app.kubernetes.io/instance: {{ include "collegium.fullname" . }}
{{- end -}}

{{- define "collegium.labels" -}}
{{ include "collegium.identity" . }}
app.kubernetes.io/part-of: collegium
app.kubernetes.io/managed-by: {{ .Release.Service }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | quote }}
{{- end -}}

{{- define "collegium.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "collegium.serviceAccount" -}}
{{- if .Values.serviceAccount.name -}}
{{ .Values.serviceAccount.name }}
{{- else if .Values.serviceAccount.create -}}
{{ include "collegium.fullname" . }}-operator
{{- else -}}
default
{{- end -}}
{{- end -}}

{{- define "collegium.connections" -}}
{{ .Values.connections.existingSecret | default (printf "%s-connections" (include "collegium.fullname" .)) }}
{{- end -}}

{{/* Whether the chart's own Valkey is wanted: "true" or nothing. */}}
{{- define "collegium.ownValkey" -}}
{{- if not (or .Values.connections.existingSecret .Values.connections.redisUrl) -}}true{{- end -}}
{{- end -}}

{{- define "collegium.securePod" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "collegium.secureContainer" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end -}}
