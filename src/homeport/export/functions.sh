# Everything that is said goes to standard error; standard output has what was made.
say() { printf '%s\n' "$*" >&2; }
die() { say "error: $*"; exit 1; }
# What is set here for some commands alone: the caller's environment may have variables of the same name.
unset token agent conditioned proxied closed
# Nothing of a command that was stopped is left in a file.
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'say "stopped: run it again, and it goes on where it was"; exit 130' INT TERM

# What was changed a moment ago is not seen everywhere at once: grants take up to ten minutes, says Google, APIs some.
# What was there before may have been changed by a run just before this one, and gets three.
changed=-1000 differs=0
as_changed() { changed=$SECONDS; }

# Tells whether waiting helps: what kind of a refusal the words in $1 are.
refusal() {
  case $1 in
    *SERVICE_DISABLED* | *"has not been used in project"* | *"it is disabled"*) echo off ;;
    *"ervice account "*" does not exist"* | *"Unknown service account"* | *"Permission denied on secret"* | *"must have permission to read the image"*) echo unseen ;;
    *"concurrent policy changes"* | *ABORTED* | *operationInProgress* | *resourceNotReady* | *CONCURRENT_OPERATIONS* | *"Another activation or deactivation"*) echo busy ;;
    *UNAVAILABLE* | *"ervice Unavailable"* | *"ad Gateway"* | *"Too Many Requests"* | *"nternal error"* | *"nternal Error"* | *"ackend Error"* | *INTERNAL* | *DEADLINE_EXCEEDED* | *rateLimitExceeded* | *"per minute"* | *"onnection reset"* | *"onnection aborted"* | *"timed out"*) echo busy ;;
    *PERMISSION_DENIED* | *"ermission denied"* | *orbidden* | *"oes not have permission"* | *"ermission '"*"' denied"*) echo denied ;;
    *)
      case $(grep -m 1 -oE '(HTTP[A-Za-z]*|[Ss]tatus|[Cc]ode|\(gcloud[^)]*\))[^0-9]{1,3}(403|429|50[0234])([^0-9]|$)' <<<"$1" || true) in
        '') echo final ;;
        *403*) echo denied ;;
        *) echo busy ;;
      esac ;;
  esac
}

# Waits, and says what for; fails where the time is over. $1: words of a refusal, $2: when its first try began, $3: how many tries.
wait_on() {
  local until pause kind
  kind=$(refusal "$1")
  case $kind in
    off | unseen) until=$((changed + 600 > 180 ? changed + 600 : 180)) ;;
    busy) until=$(($2 + 180)) ;;
    denied) until=$((changed + 600)) ;;
    *) return 1 ;;
  esac
  [ "$SECONDS" -lt "$until" ] || return 1
  pause=$((2 * $3 < 20 ? 2 * $3 : 20))
  say "  waiting, for $((until - SECONDS)) s at most: $(grep -m 1 . <<<"$1" || true)"
  sleep "$pause"
}

# Sets anew what `bash -x` and `bash -a` had set, and what holds a secret had not: those show each command with all that is
# in it, and hand each variable to every command. $1: what $- was.
as_before() {
  case $1 in *a*) set -a ;; esac
  case $1 in *x*) set -x ;; esac
}

# Has the token ready that `rest` shows, where $1 is that: gcloud takes about a second for one. Of those that Google gives
# to its own machines, one may end in five minutes; `rest` asks for another where Google refuses this one.
signed() {
  local was=$-
  { set +x +a; } 2>/dev/null
  if [ "$1" = rest ] && { [ -z "${token-}" ] || [ "$SECONDS" -ge "$signs_until" ] || [ -e "$work/refused" ]; }; then
    rm -f "$work/refused"
    signs_until=$((SECONDS + 240))
    # gcloud's own words say what is wrong with its login.
    token=$(gcloud auth print-access-token) || unset token
  fi
  as_before "$was"
}

# Tells whether something is there, and leaves what gcloud says of it in $said. Where Google does not say whether it is
# there, such as for want of a permission, all ends: that is no answer.
there() {
  local begun=$SECONDS tries=0
  while signed "$1" && ! said=$("$@" 2>"$work/errors"); do
    said=$(<"$work/errors")
    case $(refusal "$said") in
      final | unseen)
        case $said in
          *NOT_FOUND* | *"ot found"* | *"annot find"* | *"does not exist"* | *"Unknown service account"* | *"matched no objects"*) return 1 ;;
          # A version of a secret that holds nothing any more.
          *"in DESTROYED state"* | *"in DISABLED state"*) return 1 ;;
        esac ;;
    esac
    tries=$((tries + 1))
    wait_on "$said" "$begun" "$tries" || { say "$said"; die "whether it is there, Google does not say: $*"; }
  done
}

# Does what changes something; again where only waiting helps. Nothing else is tried again.
again() {
  local begun=$SECONDS tries=0 words
  until signed "$1" && { "$@" 2>&1 >&3 3>&- | tee "$work/errors" >&2; } 3>&1; do
    words=$(<"$work/errors")
    tries=$((tries + 1))
    case $words in
      # The answer to an earlier try was lost.
      *ALREADY_EXISTS* | *"already exists"* | *"you already own it"*) [ "$tries" -eq 1 ] || break ;;
    esac
    wait_on "$words" "$begun" "$tries" || die "this failed: $*"
  done
}

# Makes what is not there.
make() {
  say "+ $*"
  again "$@" >&2
  as_changed
}

# Makes what is encrypted with a key. Of itself gcloud would let Artifact Registry use the key, where its own policy does not
# say so: whose key it is, grants it. All: gcloud's arguments.
keyed() { CLOUDSDK_CORE_DISABLE_PROMPTS=0 gcloud "$@" <<<n; }

# What gcloud has no words for, or finds by its name alone: Google's API itself is asked, and its answer printed as gcloud
# prints one, a value a line. $1: GET, POST or PATCH, $2: the host, $3: the path with its query, $4: the file with the body.
# $1: FIND, then host, path, what the list is called, and for each field that tells ours from others FIELD=VALUE.
# $1: MERGE, then as PATCH: what the file does not name of an object stays, and null takes away. Operations are waited for.
# The token is in no argument and in no file.
rest() {
  local code=0 was=$-
  { set +x +a; } 2>/dev/null
  printf %s "${token-}" | REFUSED="$work/refused" python3 -c '
import json, os, subprocess, sys, time, urllib.parse as parse, urllib.request as web

ESCAPED = str.maketrans({"\\": "\\\\", "\"": "\\\"", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t"})

def told(value, path):
    if isinstance(value, dict) and value:
        for key in sorted(value):
            told(value[key], path + "." + key if path else key)
    elif isinstance(value, list) and value:
        for place, one in enumerate(value):
            told(one, "%s[%d]" % (path, place))
    elif value is not None:
        text = str(int(value) if isinstance(value, float) and value.is_integer() else value)
        print(path + ": " + ("\"" + text.translate(ESCAPED) + "\"" if "\n" in text or text != text.strip() else text))

def at(value, path):
    for key in path.split("."):
        value = value.get(key, {}) if isinstance(value, dict) else {}
    return value[0] if isinstance(value, list) and len(value) == 1 else value

def found(host, path, items, *fields):
    wanted, token = [one.partition("=")[::2] for one in fields], ""
    while True:
        page = asked("GET", host, path + ("?pageToken=" + parse.quote(token) if token else ""))
        for one in page.get(items, []):
            if all(at(one, field) == value for field, value in wanted):
                return one
        token = page.get("nextPageToken")
        if not token:
            sys.exit("NOT_FOUND: none of " + items + " has " + " ".join(fields))

def merged(host, path, file):
    live, change = asked("GET", host, path), json.load(open(file))
    for key, value in change.items():
        if isinstance(value, dict):
            change[key] = {name: one for name, one in {**live.get(key, {}), **value}.items() if one is not None}
    body = json.dumps({**change, "etag": live.get("etag")}).encode()
    return asked("PATCH", host, path + "?updateMask=" + ",".join(sorted(change)), body)

# As long as a service may take.
def wait(answer):
    if time.monotonic() > until:
        sys.exit("%s is not done after 2400 s: run this again" % answer.get("name"))

def settled(host, path, answer):
    if answer.get("kind") == "compute#operation":
        operation = parse.urlsplit(answer["selfLink"]).path + "/wait"
        while answer.get("status") != "DONE":
            wait(answer)
            answer = asked("POST", host, operation, b"")
    elif "/operations/" in answer.get("name", ""):
        while not answer.get("done"):
            wait(answer)
            time.sleep(1)
            answer = asked("GET", host, "/%s/%s" % (path.split("/")[1], answer["name"]))
    if answer.get("error"):
        sys.exit("the operation failed: " + json.dumps(answer["error"]))
    return answer

def asked(method, host, path, body=None):
    try:
        return sent(method, host, path, body)
    except web.HTTPError as error:
        # A token ends, such as while an operation is waited for.
        if error.code != 401:
            raise
    open(os.environ["REFUSED"], "w").close()
    sign(token())
    return sent(method, host, path, body)

def sent(method, host, path, body):
    request = web.Request(base(host) + path, body, {**head, "Host": host}, method=method)
    with web.urlopen(request, timeout=120) as answer:
        return json.loads(answer.read() or b"{}")

def token():
    told = subprocess.run(["gcloud", "auth", "print-access-token"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
    if told.returncode or not told.stdout.strip():
        sys.exit("gcloud has no token to show Google: gcloud auth login")
    return told.stdout.decode().strip()

def sign(token):
    head["Authorization"] = "Bearer " + token

def base(host):
    return (os.environ.get("HOMEPORT_GOOGLE_URL") or "https://" + host).rstrip("/")

method, host, *rest = sys.argv[1:]
head, until = {"Content-Type": "application/json"}, time.monotonic() + 2400
try:
    sign(sys.stdin.read().strip() or token())
    if method == "FIND":
        made = found(host, *rest)
    elif method == "MERGE":
        made = settled(host, rest[0], merged(host, *rest))
    else:
        made = settled(host, rest[0], asked(method, host, rest[0], *(open(one, "rb").read() for one in rest[1:])))
    # Of what was made, only what it is called.
    told(made if method in ("GET", "FIND") else {"name": made.get("name")}, "")
except web.HTTPError as error:
    sys.exit("HTTPError %d: %s" % (error.code, error.read().decode(errors="replace")))
except OSError as error:
    sys.exit("UNAVAILABLE: %s does not answer: %s" % (host, error))
' "$@" || code=$?
  as_before "$was"
  return "$code"
}

# One line for each value, without a server's name, and whole numbers without a point.
values() { sed -E -e '/^(---|#.*)$/d' -e 's|: https?://[^ ]*/(projects/)|: \1|' -e 's/(: -?[0-9]+)\.0$/\1/' -e "${1-}"; }

# Compares what is there ($said) with what stdin wants; leaves the lines that are wanting in $wanting. Of a service, a URL map
# and a security policy the order of lists counts, and what is in a list beyond what is wanted.
compare() {
  local edit='' extra=''
  case $1 in
    service) extra='^spec[.]template[.]spec[.]' ;;
    'URL map') extra='^(hostRules|pathMatchers|tests)' ;;
    'security policy') extra='^rules' ;;
    *) edit='s/\[[0-9]+\]/[]/g' ;;
  esac
  values "$edit" >"$work/wanted"
  values "$edit" <<<"$said" >"$work/live"
  wanting=$(
    awk -v extra="$extra" '
      function item(line, path) { path = line; sub(/: .*/, "", path); return match(path, /.*\]/) ? substr(path, 1, RLENGTH) : "" }
      function empty(line) { return line ~ /: (|0|[Ff]alse|\[\]|{})$/ }
      NR == FNR {
        live[$0] = 1; order[++count] = $0; path = $0; sub(/: .*/, "", path); paths[path] = 1
        # What has something in it is no empty list.
        while (match(path, /\[[^\[]*$/)) { path = substr(path, 1, RSTART - 1); paths[path] = 1 }
        next
      }
      { path = $0; sub(/: .*/, "", path)
        # What is nothing, Google may leave out.
        if (!($0 in live) && !(empty($0) && !(path in paths))) print "wanted " $0
        path = item($0); while (path != "") { items[path] = 1; sub(/\]$/, "", path); path = item(path) } }
      END { if (extra) for (i = 1; i <= count; i++) if (order[i] ~ extra && item(order[i]) != "" && !(item(order[i]) in items)) print "has " order[i] }
    ' "$work/live" "$work/wanted"
  )
}

# Says that a thing is left as it is; and what of it differs, which fails all of it in the end. $1: its name, $2: its kind.
keep() {
  compare "$2"
  if [ -z "$wanting" ]; then say "= $1: is there, as the file says; left as it is"; return; fi
  differs=$((differs + 1))
  say "! $1: is there, and left as it is, though it differs:" "$(printf '\n    %s' "$wanting")"
}

# Changes a thing that differs. $1: its name, $2: its kind; then the command that changes it.
change() {
  compare "$2"
  if [ -z "$wanting" ]; then say "= $1: is there, as the file says; left as it is"; return; fi
  say "~ $1 differs:" "$(printf '\n    %s' "$wanting")"
  make "${@:3}"
}

# Puts values in the place of marks. $1: a file, $2: what is written, then marks, each with its value.
fill() {
  local text to=$2 quote="'"
  text=$(<"$1")
  shift 2
  while [ $# -gt 0 ]; do
    [[ $2 != *$'\n'* ]] || die "the value for $1 has several lines"
    # All that is filled in stands in single quotes.
    text=${text//"$1"/"${2//$quote/$quote$quote}"}
    shift 2
  done
  printf '%s\n' "$text" >"$to"
}

# Enables those APIs that are not.
enable() {
  local off=() one
  there gcloud services list --enabled '--format=value(config.name)' || die "which APIs are enabled, Google does not say"
  for one; do grep -qxF "$one" <<<"$said" || off+=("$one"); done
  if [ ${#off[@]} -eq 0 ]; then say "= all $# APIs are enabled"; else make gcloud services enable "${off[@]}"; fi
}

# Grants a role, where it is not granted. $1: to whom, $2: the role, $3: gcloud's words for such things, then on which.
# Once something was made by this run, it is granted without a look: what is there stays. $agent, where it is set: the API
# whose service's own account this is, which Google makes once somebody asks for it. $conditioned, where it is set: a role under
# a condition will do, which a grant without one would cancel, so it is always looked at.
grant() {
  local member=$1 role=$2 group
  read -ra group <<<"$3"
  shift 3
  if [[ "$changed" -lt 0 || -n "${conditioned-}" ]] && there gcloud "${group[@]}" get-iam-policy "$@" '--format=flattened[no-pad]' && granted "$member" "$role"; then return; fi
  [ -z "${agent-}" ] || make gcloud beta services identity create "--service=$agent"
  case ${group[*]} in projects | 'beta iap web') set -- "$@" --condition=None ;; esac
  make gcloud "${group[@]}" add-iam-policy-binding "$@" "--member=$member" "--role=$role" --format=none
}
granted() {
  awk -v member="$1" -v role="$2" -v anyhow="${conditioned-}" '
    { path = $0; sub(/: .*/, "", path); value = substr($0, length(path) + 3); binding = path; sub(/\].*/, "", binding) }
    path ~ /\]\.role$/ && value == role { right[binding] = 1 }
    path ~ /\]\.condition\./ { bound[binding] = 1 }
    path ~ /\]\.members\[/ && value == member { has[binding] = 1 }
    END { for (one in right) if (one in has && (anyhow || !(one in bound))) exit 0; exit 1 }
  ' <<<"$said"
}

# Puts settings that are no secret where a secret is, unless its newest version holds the same. $1: the secret, $2: the file.
settings() {
  if there gcloud secrets versions access latest "--secret=$1" && [ "$said" = "$(<"$2")" ]; then
    say "= $1: holds the same as $2; left as it is"
  else
    make gcloud secrets versions add "$1" "--data-file=$2"
  fi
}

# Adds a version to a secret, unless its newest one holds the same. $1: the secret, $2: the variable that the value is
# read from, $3: what it is. The value is in $secret, and in no argument and in no file.
add_version() { printf %s "$secret" | gcloud secrets versions add "$1" --data-file=-; }
secret_version() {
  local kept=''
  export -n said
  if there gcloud secrets versions access latest "--secret=$1"; then kept=$said; fi
  said=''
  if [ -z "$secret" ] && [ -n "$kept" ]; then say "= secret $1: has a version, and $2 is not set; left as it is"; return; fi
  if [ -z "$secret" ] && [ -t 0 ]; then read -rsp "$1: " secret && say; fi
  secret=${secret//[[:space:]]/}
  [ -n "$secret" ] || die "$2 is not set, and there is no terminal to ask on: export $2=…, $3"
  if [ "$kept" = "$secret" ]; then say "= secret $1: has it already; left as it is"; else make add_version "$1"; fi
}

# Runs a build, unless it is under way already, and waits for its end. $1: its tag, $2: its region, $3: its file, $4: how
# many seconds at most.
build() {
  local id begun=$SECONDS pause=2
  there gcloud builds list "--region=$2" "--filter=tags=$1" --limit=20 '--format=value(id,status)' || die "which builds are under way, Google does not say"
  id=$(awk '$2 ~ /^(PENDING|QUEUED|WORKING)$/ { print $1; exit }' <<<"$said")
  if [ -n "$id" ]; then
    say "~ build $id of $3 is under way already"
  else
    say "+ gcloud builds submit --no-source --config=$3 --region=$2"
    id=$(again gcloud builds submit --no-source --async "--config=$3" "--region=$2" '--format=value(id)')
  fi
  while :; do
    there gcloud builds describe "$id" "--region=$2" '--format=value(status)' || die "build $id is gone"
    case $said in
      SUCCESS) return ;;
      PENDING | QUEUED | WORKING) ;;
      *) die "build $id of $3 ended as $said; its log: gcloud builds log $id --region=$2" ;;
    esac
    [ $((SECONDS - begun)) -lt "$4" ] || die "build $id of $3 takes longer than $4 s: run this again to wait on"
    say "  build $id of $3: $said since $((SECONDS - begun)) s, $4 s at most"
    sleep "$pause"
    pause=$((pause < 30 ? pause * 2 : 30))
  done
}

# The value of a line of $said.
value_of() { awk -v path="$1: " 'index($0, path) == 1 { print substr($0, length(path) + 1); exit }' <<<"$said"; }
# The status of the condition Ready, and what it says.
ready() { awk -F': ' '/^status\.conditions\[/ { key = $1; sub(/.*\./, "", key); if (key == "message") message = $0; if (key == "status") status = $2; if (key == "type") { if ($2 == "Ready") { sub(/^[^:]*: /, "", message); print status " " message; exit } message = "" } }' <<<"$said"; }

# Tells whether a service is there and ready, and says why not. $1: its name, $2: its region.
serves() {
  local state
  there gcloud run services describe "$1" "--region=$2" '--format=flattened[no-pad]' || { say "! service $1 in $2 is not there yet"; return 1; }
  state=$(ready)
  [ "${state%% *}" = True ] || { say "! service $1 in $2 is not ready: ${state#* }"; return 1; }
}

# Ends all where another load balancer closes the service. $1: its address, $2: the wanted one, $3: the wanted kind.
same_edge() {
  local kind
  kind=$(value_of metadata.annotations.homeport/edge-kind)
  [ "${kind:-global}" = "$3" ] || die "a ${kind:-global} load balancer stands before it, and the domain leads there: take [edge] out of the file and say homeport up --on cloudrun; then put it in again"
  [ "$1" = "$2" ] || die "$1 leads to the service, and would answer no more: another domain is put in its place by homeport up --on cloudrun alone"
}
# Prints the file of a service, closed as the one in $said is. $1: its text, $2: the address of its load balancer; without
# one it is open again.
as_closed() {
  local text=$1 key value lines='' quote="'"
  for key in run.googleapis.com/ingress run.googleapis.com/default-url-disabled homeport/edge homeport/back-door homeport/behind homeport/edge-kind; do
    value=$(value_of "metadata.annotations.$key")
    if [ -z "$2" ]; then case $key in */default-url-disabled) value=false ;; *) value='' ;; esac; fi
    [ -z "$value" ] || grep -q "^    $key: " <<<"$text" || lines+=$'\n    '"$key: '${value//$quote/$quote$quote}'"
  done
  printf '%s\n' "${text/$'\n  annotations:'/$'\n  annotations:'"$lines"}"
}

# Puts a service in place, where it is not there, differs, or is not ready. $1: its name, $2: its region, $3: its file,
# $4: its values, $5: `held` where `homeport up` says who serves, $6: the address of the load balancer before it, $7: its kind.
deploy() {
  local name=$1 where="--region=$2" file=$3 quote="'" state begun=$SECONDS text receipts held='' revision percent place now generation edge
  if ! there gcloud run services describe "$name" "$where" '--format=flattened[no-pad]'; then
    make gcloud run services replace "$file" "$where"
    return
  fi
  state=$(ready)
  while [ "${state%% *}" = Unknown ] && [ $((SECONDS - begun)) -lt 2400 ]; do
    say "  service $name is being changed by somebody; waiting, for $((2400 - SECONDS + begun)) s at most: ${state#* }"
    sleep 10
    there gcloud run services describe "$name" "$where" '--format=flattened[no-pad]' || die "service $name is gone"
    state=$(ready)
  done
  edge=$(value_of metadata.annotations.homeport/edge)
  [ -z "${6-}" ] || [ -z "$edge" ] || same_edge "$edge" "$6" "$7"
  compare service <"$4"
  if [ "${state%% *}" = True ] && [ -z "$wanting" ]; then say "= service $name: is ready, as the file says; left as it is"; return; fi
  text=$(<"$file") generation=$(value_of metadata.generation)
  if [ -n "$wanting" ]; then
    say "~ service $name differs:" "$(printf '\n    %s' "$wanting")"
  else
    say "~ service $name is as the file says, and not ready: ${state#* }"
    # Else no new revision would come of it. Each change counts one, so that no two of them carry the same.
    text=${text/$'\n      annotations:\n'/$'\n      annotations:\n        homeport/again: '"'$generation'"$'\n'}
  fi
  if [ "$5" = held ]; then
    # Who serves goes on serving, and what was found out of the revisions before this one stays with the service.
    receipts=$(value_of 'metadata.annotations.homeport/receipts')
    [ -z "$receipts" ] || text=${text/$'\n  annotations:\n'/$'\n  annotations:\n    homeport/receipts: '"'${receipts//$quote/$quote$quote}'"$'\n'}
    while IFS= read -r place; do
      revision=$(value_of "status.traffic[$place].revisionName") percent=$(value_of "status.traffic[$place].percent")
      held+=$'\n    - revisionName: '"$revision"$'\n      percent: '"$percent"
    done < <(sed -nE 's/^status\.traffic\[([0-9]+)\]\.percent: .*/\1/p' <<<"$said")
    text+=$'\n  traffic:'"$held"$'\n    - latestRevision: true\n      tag: candidate'
    [ -n "$held" ] || text+=$'\n      percent: 100'
  fi
  [ -z "$edge" ] || text=$(as_closed "$text" "${6-}")
  printf '%s\n' "$text" >"$file"
  say "+ gcloud run services replace $file $where"
  now=$(again gcloud run services replace "$file" "$where" '--format=value(metadata.generation)')
  as_changed
  # gcloud puts the version that it reads itself in place of one in the file, so that a change between both reads is not
  # refused. Each change counts one: what was more than this one is told.
  [ "$now" -le "$((generation + 1))" ] || die "somebody else changed the service $name while this ran, which may have undone that change: see who serves (homeport status --on cloudrun). After a rollback or a release, run this again"
  [ -z "$held" ] || say "  its new revision has no traffic: homeport up --on cloudrun verifies it, and lets it serve"
}

# Says, in the end, whether all is as the file says.
finish() {
  [ "$differs" -eq 0 ] || die "$differs things that were there differ from the file, and were left: see the lines with !"
}
