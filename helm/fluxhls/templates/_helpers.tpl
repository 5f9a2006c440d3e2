{{- define "fluxhls.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 63 | trimSuffix "-" }}
{{- end }}

{{- define "fluxhls.fullname" -}}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 50 | trimSuffix "-" }}
{{- else if contains (include "fluxhls.name" .) .Release.Name }}
{{- .Release.Name | trunc 50 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name (include "fluxhls.name" .) | trunc 50 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{- define "fluxhls.selector" -}}
app.kubernetes.io/name: {{ include "fluxhls.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "fluxhls.labels" -}}
{{ include "fluxhls.selector" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{- end }}

{{- define "fluxhls.image" -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end }}

{{- define "fluxhls.serviceAccount" -}}
{{- if .Values.serviceAccount.create }}{{ .Values.serviceAccount.name | default (include "fluxhls.fullname" .) }}{{ else }}{{ .Values.serviceAccount.name | default "default" }}{{ end }}
{{- end }}

{{- /* What every container is started with. */}}
{{- define "fluxhls.container" -}}
image: {{ include "fluxhls.image" . | quote }}
imagePullPolicy: {{ .Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  capabilities: { drop: [ALL] }
  seccompProfile: { type: RuntimeDefault }
{{- end }}

{{- /* What every pod is like. */}}
{{- define "fluxhls.pod" -}}
serviceAccountName: {{ include "fluxhls.serviceAccount" . }}
automountServiceAccountToken: false
enableServiceLinks: false
securityContext:
  runAsNonRoot: true
  fsGroup: 65532
  seccompProfile: { type: RuntimeDefault }
{{- with .Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- /* Secrets for NATS that are there, as a JSON list: each a file whose path is a setting. Whole folders are mounted, so that a changed secret reaches
the running process. */}}
{{- define "fluxhls.natsFiles" -}}
{{- $files := list }}
{{- with .Values.nats }}
{{- range $file := list
  (dict "setting" "NATS_CREDENTIALS" "volume" "nats" "secret" .credentialsSecret)
  (dict "setting" "NATS_NKEY" "volume" "nats-nkey" "secret" .nkeySecret)
  (dict "setting" "NATS_PASSWORD_FILE" "volume" "nats-password" "secret" .passwordSecret)
  (dict "setting" "NATS_TOKEN_FILE" "volume" "nats-token" "secret" .tokenSecret)
  (dict "setting" "NATS_CA" "volume" "nats-ca" "secret" .caSecret)
}}
{{- if $file.secret.name }}
{{- $files = append $files $file }}
{{- end }}
{{- end }}
{{- end }}
{{- $files | toJson }}
{{- end }}

{{- /* Settings of every process, as environment variables. */}}
{{- define "fluxhls.env" -}}
- { name: LOG_FORMAT, value: json }
- { name: NATS_URL, value: {{ .Values.nats.url | quote }} }
{{- with .Values.nats.user }}
- { name: NATS_USER, value: {{ . | quote }} }
{{- end }}
{{- range include "fluxhls.natsFiles" . | fromJsonArray }}
- { name: {{ .setting }}, value: {{ printf "/etc/fluxhls/%s/%s" .volume .secret.key | quote }} }
{{- end }}
{{- with .Values.nats.jetstreamDomain }}
- { name: NATS_JETSTREAM_DOMAIN, value: {{ . | quote }} }
{{- end }}
{{- with .Values.nats.jetstreamApiPrefix }}
- { name: NATS_JETSTREAM_API_PREFIX, value: {{ . | quote }} }
{{- end }}
- { name: STREAM_REPLICAS, value: {{ .Values.streams.replicas | quote }} }
{{- if .Values.streams.maxBytes }}
{{- $limits := list }}
{{- range $name, $bytes := .Values.streams.maxBytes }}
{{- $limits = append $limits (printf "%s=%d" $name (int64 $bytes)) }}
{{- end }}
- { name: STREAM_MAX_BYTES, value: {{ join "," $limits | quote }} }
{{- end }}
- { name: CONSUMER_MAX_ACK_PENDING, value: {{ .Values.streams.maxAckPending | int64 | toString | quote }} }
{{- with .Values.storage }}
{{- if .endpoint }}
- { name: S3_ENDPOINT, value: {{ .endpoint | quote }} }
{{- end }}
- { name: S3_BUCKET, value: {{ .bucket | quote }} }
- { name: S3_REGION, value: {{ .region | quote }} }
- { name: S3_PUBLIC_READ, value: {{ .publicRead | quote }} }
- { name: OUTPUT_ROOT, value: {{ .outputRoot | quote }} }
{{- if .publicBaseUrl }}
- { name: PUBLIC_BASE_URL, value: {{ .publicBaseUrl | quote }} }
{{- end }}
{{- if .liveBaseUrl }}
- { name: LIVE_BASE_URL, value: {{ .liveBaseUrl | quote }} }
{{- end }}
{{- if .sourceBuckets }}
- { name: SOURCE_BUCKETS, value: {{ join "," .sourceBuckets | quote }} }
{{- end }}
{{- if .existingSecret }}
- name: AWS_ACCESS_KEY_ID
  valueFrom: { secretKeyRef: { name: {{ .existingSecret }}, key: access-key-id } }
- name: AWS_SECRET_ACCESS_KEY
  valueFrom: { secretKeyRef: { name: {{ .existingSecret }}, key: secret-access-key } }
{{- end }}
{{- end }}
{{- range $name, $value := .Values.config }}
- { name: {{ $name }}, value: {{ $value | quote }} }
{{- end }}
{{- end }}

{{- define "fluxhls.databaseEnv" -}}
- name: DATABASE_URL
  valueFrom: { secretKeyRef: { name: {{ .Values.database.existingSecret }}, key: {{ .Values.database.key }} } }
{{- end }}

{{- define "fluxhls.mounts" -}}
- { name: tmp, mountPath: /tmp }
{{- range include "fluxhls.natsFiles" . | fromJsonArray }}
- { name: {{ .volume }}, mountPath: /etc/fluxhls/{{ .volume }}, readOnly: true }
{{- end }}
{{- end }}

{{- define "fluxhls.volumes" -}}
- { name: tmp, emptyDir: { sizeLimit: 64Mi } }
{{- range include "fluxhls.natsFiles" . | fromJsonArray }}
- { name: {{ .volume }}, secret: { secretName: {{ .secret.name }}, items: [{ key: {{ .secret.key }}, path: {{ .secret.key }} }] } }
{{- end }}
{{- end }}

{{- define "fluxhls.probes" -}}
ports:
  - { name: http, containerPort: 8080 }
livenessProbe:
  httpGet: { path: /livez, port: http }
  periodSeconds: 20
  timeoutSeconds: 5
  failureThreshold: 6
readinessProbe:
  httpGet: { path: /readyz, port: http }
  periodSeconds: 10
  timeoutSeconds: 5
startupProbe:
  httpGet: { path: /livez, port: http }
  periodSeconds: 5
  failureThreshold: 60
{{- end }}

{{- /* A pod template with what podTemplate of the component says merged over it: dict "template" … "over" … */}}
{{- define "fluxhls.merged" -}}
{{- toYaml (mergeOverwrite (fromYaml .template) (deepCopy .over)) }}
{{- end }}
