# What a load balancer is made with, where one command of gcloud does not do it.

# Puts a backend service in place as a file has it, and the policy before it. $1: its name, $2: its scope, $3: the file,
# $4: the policy, or nothing.
backend() {
  gcloud compute backend-services import "$1" "$2" --source "$3" --quiet || return
  if [ -n "$4" ] || grep -q '^securityPolicy: ' <<<"$said"; then
    gcloud compute backend-services update "$1" "$2" "--security-policy=$4"
  fi
}

# Changes a URL map, if it is still as it was read into $said. $1: its name, $2: its scope, $3: the file.
remap() {
  { printf 'fingerprint: %s\n' "$(value_of fingerprint)" && cat "$3"; } >"$work/map.yaml" &&
    gcloud compute url-maps import "$1" "$2" --source "$work/map.yaml" --quiet
}

# Lets a proxy lead to its map and show its certificates; what it showed before goes after that. $1: its name, $2: its
# scope, $3: the flag by which the former go, or nothing, then flags.
show() {
  gcloud compute target-https-proxies update "$1" "$2" "${@:4}" || return
  [ -z "$3" ] || gcloud compute target-https-proxies update "$1" "$2" "$3"
}

# Makes a certificate of your own. Its key stays in the file that TLS_KEY_FILE names. All: gcloud's arguments.
certificate() {
  local key=${TLS_KEY_FILE-}
  [ -n "$key" ] || die "TLS_KEY_FILE is not set: export TLS_KEY_FILE=…, the file with the certificate's key as PEM"
  # The path is meant from where this was called.
  [[ $key == /* ]] || key=$called/$key
  [ -r "$key" ] || die "TLS_KEY_FILE is $key, which cannot be read: it is the file with the certificate's key as PEM"
  gcloud compute ssl-certificates create "$@" "--private-key=$key"
}

# Gives a security policy its rules, one by one, and no others. $1: its name, then its scope if it is of a region, and of each
# rule the word `rule`, its priority and its flags.
rules() {
  local policy=$1 of=() flags one verb priority kept=' '
  shift
  while [ "$1" != rule ]; do of+=("$1"); shift; done
  while [ $# -gt 0 ]; do
    priority=$2 flags=() verb=create
    shift 2
    while [ $# -gt 0 ] && [ "$1" != rule ]; do flags+=("$1"); shift; done
    ! grep -q "^rules\[[0-9]*\]\.priority: $priority\$" <<<"$said" || verb=update
    kept+="$priority "
    gcloud compute security-policies rules "$verb" "$priority" "--security-policy=$policy" ${of[@]+"${of[@]}"} "${flags[@]}" || return
  done
  while IFS= read -r one; do
    [[ $kept == *" $one "* ]] || gcloud compute security-policies rules delete "$one" "--security-policy=$policy" ${of[@]+"${of[@]}"} </dev/null || return
  done < <(sed -nE 's/^rules\[[0-9]+\]\.priority: //p' <<<"$said")
}

# Prints what is shown to the edge by the one who runs this: an ID token, or where Identity-Aware Proxy stands behind it a JWT that a
# service account signs for itself; nothing where there is none. $1: the edge's address.
shown() {
  if [ -z "${proxied-}" ]; then
    gcloud auth print-identity-token "--audiences=$1" 2>/dev/null || gcloud auth print-identity-token 2>/dev/null || true
    return
  fi
  local who
  who=$(gcloud config get-value auth/impersonate_service_account 2>/dev/null || true)
  [ -n "$who" ] || who=$(gcloud config get-value account 2>/dev/null || true)
  # A person signs nothing.
  [[ $who == *.gserviceaccount.com ]] || return 0
  printf '{"iss": "%s", "sub": "%s", "aud": "%s/*", "iat": %d, "exp": %d}' "$who" "$who" "$1" "$(date +%s)" "$(($(date +%s) + 600))" |
    gcloud iam service-accounts sign-jwt /dev/stdin - "--iam-account=$who" 2>/dev/null || true
}

# Asks the edge for its models, at each path and with each header, as the one who runs this, and says what came instead of an
# answer. That Cloud Run itself refuses somebody shows that the way to it is there; where $proxied is set, that Identity-Aware Proxy
# does: whoever shows nothing is asked to log in, whoever shows a JWT is answered, and either may be forbidden to come in.
# $1: the edge's address, then paths and headers.
ask() {
  local was=$-
  { set +x +a; } 2>/dev/null
  local token code=0
  token=$(shown "$1")
  PROXIED="${proxied-}" python3 -c '
import http.client, os, sys, urllib.parse as parse, urllib.request as web

# A login is an answer here, and not the way to another.
class Stay(web.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None

LOGINS = (302, 303, 307)

# By a header that it alone says, and by the way to the login of Google.
def of_iap(status, headers):
    leads = status in LOGINS and parse.urlsplit(headers.get("location", "")).hostname == "accounts.google.com"
    return leads or headers.get("x-goog-iap-generated-response", "").lower() == "true"

def came(status, headers):
    if not proxied:
        return status in (200, 401, 403)
    if of_iap(status, headers):
        return status == 403 or not token and status in (401, *LOGINS)
    return status == 200 and token != ""

def besides(status, headers):
    if not proxied or status not in (200, 401, 403, *LOGINS):
        return ""
    if of_iap(status, headers):
        return ": Identity-Aware Proxy does not take the JWT that was shown" if token else ""
    return ", and Identity-Aware Proxy has not said that"

proxied, asked = os.environ["PROXIED"], web.build_opener(Stay).open
token, (address, *ways) = sys.stdin.read().strip(), sys.argv[1:]
head = {"Host": address.partition("//")[2], **({"Authorization": "Bearer " + token} if token else {})}
base = (os.environ.get("HOMEPORT_GOOGLE_URL") or address).rstrip("/")
for way in ["", *ways]:
    path = way if way.startswith("/") else ""
    more = dict([way.split(": ", 1)]) if way and not path else {}
    try:
        with asked(web.Request(base + path + "/v1/models", headers={**head, **more}), timeout=60) as answer:
            status, told = answer.status, answer.headers
            answer.read()  # One that breaks off is no answer.
    except web.HTTPError as error:
        status, told = error.code, error.headers
    except (OSError, http.client.HTTPException) as error:
        sys.exit(print("%s%s: %s" % (address, path or way and " with " + way, getattr(error, "reason", error))))
    if not came(status, told):
        sys.exit(print("%s%s says %d%s" % (address, path or way and " with " + way, status, besides(status, told))))
' "$@" <<<"$token" || code=$?
  as_before "$was"
  return "$code"
}

# Waits until the edge answers. $1: how many seconds it may take, $2: its address, then paths and headers.
answers() {
  local begun=$SECONDS pause=2 why
  say "waiting until $2 answers, for $1 s at most: a new load balancer takes some minutes, and a certificate of Google's the record that proves the domain"
  # Where it could not be asked, it has not answered.
  while ! why=$(ask "${@:2}") || [ -n "$why" ]; do
    [ $((SECONDS - begun)) -lt "$1" ] || die "${why:-$2 could not be asked}; the service is reached as before. Run this again: it goes on from here"
    sleep "$pause"
    pause=$((pause < 30 ? pause * 2 : 30))
  done
}

# Waits until the edge answers, before what asks there is led to it. Where the service is closed for that address, it was seen to
# answer. $1: the service's path, then as `answers`.
answering() {
  there rest GET run.googleapis.com "$1" || die "there is no service at $1"
  if [ "$(value_of annotations.homeport/edge)" = "$3" ]; then say "= $3 was seen to answer"; else answers "${@:2}"; fi
}

# Lets the service take requests from its load balancer and from within its network alone, once the edge answers. $1: the
# service's path, $2: the file with the change, $3: how many seconds the edge may take, $4: its address, then paths and headers. Stdin has
# the values that are wanted.
door() {
  local own
  closed=
  there rest GET run.googleapis.com "$1" || die "there is no service at $1"
  compare door
  if [ -z "$wanting" ]; then
    say "= requests come through $4 alone, as the file says"
    closed=yes
    return
  fi
  if [ "$differs" -gt 0 ]; then
    say "! the service's own address stays as it is: what differs above comes first"
    return
  fi
  answers "${@:3}"
  there rest GET run.googleapis.com "$1" || die "there is no service at $1"
  own=$(value_of uri)
  [ -n "$own" ] || own=$(value_of annotations.homeport/back-door)
  fill "$2" "$work/$2" __BACK_DOOR__ "$own"
  make rest MERGE run.googleapis.com "$1" "$work/$2"
  closed=yes
}

behind_it() {
  if [ -n "${closed-}" ]; then "$@"; return; fi
  say "! $2 is not let in: the service's own address is open, and leads past the screen"
}
