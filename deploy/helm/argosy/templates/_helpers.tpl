{{- define "argosy.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "argosy.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "argosy.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "argosy.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "argosy.selector" -}}
app.kubernetes.io/name: {{ include "argosy.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "argosy.labels" -}}
{{ include "argosy.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version }}
{{- with .Values.commonLabels }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- define "argosy.registry" -}}
{{- with .Values.global.imageRegistry }}{{ trimSuffix "/" . }}/{{ end -}}
{{- end -}}

{{- define "argosy.image" -}}
{{- include "argosy.registry" . -}}{{ .Values.image.repository }}
{{- if .Values.image.digest }}@{{ .Values.image.digest }}{{ else }}:{{ .Values.image.tag | default .Chart.AppVersion }}{{ end -}}
{{- end -}}

{{- define "argosy.pullSecrets" -}}
{{- with .Values.global.imagePullSecrets }}
imagePullSecrets:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end -}}

{{- define "argosy.podSecurity" -}}
runAsNonRoot: true
runAsUser: 10001
runAsGroup: 10001
fsGroup: 10001
seccompProfile:
  type: RuntimeDefault
{{- end -}}

{{- define "argosy.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
runAsNonRoot: true
capabilities:
  drop: [ALL]
{{- end -}}

{{- define "argosy.secretName" -}}
{{- .Values.serviceSecret.existingSecret | default (printf "%s-development" (include "argosy.fullname" .)) -}}
{{- end -}}

{{- define "argosy.postgresSecretName" -}}
{{- .Values.postgres.existingSecret | default (printf "%s-development" (include "argosy.fullname" .)) -}}
{{- end -}}

{{/* Where each component answers: headless, so that clients see every pod and balance over them. */}}
{{- define "argosy.addresses" -}}
{{- $addresses := dict -}}
{{- range $name, $component := .Values.components -}}
{{- $_ := set $addresses $name (printf "dns:///%s-%s.%s.svc:%v" (include "argosy.fullname" $) $name $.Release.Namespace $component.port) -}}
{{- end -}}
{{- $_ := set $addresses "http" (printf "%s-http.%s.svc:%v" (include "argosy.fullname" .) .Release.Namespace .Values.components.gateway.http) -}}
{{- $addresses | toJson -}}
{{- end -}}

{{/* The environment of every process of ours. */}}
{{- define "argosy.env" -}}
- name: ARGOSY_DATABASE_URL
  valueFrom:
    secretKeyRef:
      name: {{ include "argosy.postgresSecretName" . }}
      key: {{ ternary .Values.postgres.key "url" (not (empty .Values.postgres.existingSecret)) }}
- name: ARGOSY_SERVICE_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ include "argosy.secretName" . }}
      key: {{ ternary .Values.serviceSecret.key "secret" (not (empty .Values.serviceSecret.existingSecret)) }}
- name: ARGOSY_NATS_URL
  {{- if .Values.nats.existingSecret }}
  valueFrom:
    secretKeyRef:
      name: {{ .Values.nats.existingSecret }}
      key: {{ .Values.nats.key }}
  {{- else }}
  value: {{ .Values.nats.url | default (printf "nats://%s-nats:%v" (include "argosy.fullname" .) .Values.nats.port) | quote }}
  {{- end }}
{{- end -}}

{{- /* What a component asks outside. Takes the root and the component's name. */ -}}
{{- define "argosy.providers" -}}
{{- $values := (index . 0).Values.providers -}}
{{- $name := index . 1 -}}
{{- range $provider, $asked := dict "payment" (list "orders" "PAYMENT_PROVIDER") "carrier" (list "fulfillment" "CARRIER") }}
{{- $given := index $values $provider }}
{{- if and (eq (index $asked 0) $name) $given.url }}
- name: ARGOSY_{{ index $asked 1 }}_URL
  value: {{ $given.url | quote }}
- name: ARGOSY_{{ index $asked 1 }}_SECRET
  valueFrom:
    secretKeyRef:
      name: {{ required (printf "providers.%s.existingSecret is needed where its url is set" $provider) $given.existingSecret }}
      key: {{ $given.key }}
{{- end }}
{{- end }}
{{- if and (eq $name "gateway") $values.mail.existingSecret }}
- name: ARGOSY_SMTP_URL
  valueFrom:
    secretKeyRef:
      name: {{ $values.mail.existingSecret }}
      key: {{ $values.mail.key }}
{{- end }}
{{- end -}}
