"""Cloud Build: what a build may ask for, and what its substitutions make of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence

from gcp_rehearsal.errors import ApiError, invalid, unimplemented
from gcp_rehearsal.json_types import JsonObject

TIMEOUT = 600.0
_LONGEST = 86400.0
_MOST = 100
_LONGEST_ARG = 10_000
_PARAMETER = re.compile(r"\$\$|\$\{([A-Z_][A-Z0-9_]*)\}|\$([A-Z_][A-Z0-9_]*)")
_OWN = re.compile(r"_[A-Z0-9_]+")
_BUILT_IN = frozenset(
    ("BUILD_ID", "LOCATION", "PROJECT_ID", "PROJECT_NUMBER", "SERVICE_ACCOUNT", "SERVICE_ACCOUNT_EMAIL",
     "TRIGGER_BUILD_CONFIG_PATH", "TRIGGER_NAME")
)  # fmt: skip
_OVERRIDABLE = frozenset(
    (
        "BRANCH_NAME",
        "COMMIT_SHA",
        "REF_NAME",
        "REPO_FULL_NAME",
        "REPO_NAME",
        "REVISION_ID",
        "SHORT_SHA",
        "TAG_NAME",
    )
)
_HOST = r"(?:[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?(?:\.[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?)*(?::[0-9]+)?/)?"
_PART = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_IMAGE = re.compile(rf"{_HOST}{_PART}(?:/{_PART})*(?::[\w][\w.-]{{0,127}})?(?:@sha256:[0-9a-f]{{64}})?")
_TAG = re.compile(r"[\w][\w.-]{0,127}")
_BUCKETS_OF_ONES_OWN = "REGIONAL_USER_OWNED_BUCKET"

Build = JsonObject


def check(build: Build) -> None:
    """Raise `ApiError` 400, in Google's words, for a build that cannot be; 501 for what is not acted out."""
    timeout = seconds(build.get("timeout"))
    if timeout > _LONGEST:
        raise _bad("timeout exceeds the timeout limit of 24h0m0s")
    if timeout < 0:
        raise _bad("invalid timeout: timeout must be >=0")
    _check_substitutions(build.get("substitutions") or {})
    _check_artifacts(build)
    _check_steps(build.get("steps") or [], timeout or _LONGEST)
    _check_template(build)
    _check_secrets(build)
    _check_logging(build)


def check_names(build: Build) -> None:
    """Raise `ApiError` 400 for a name that is none, after the substitutions."""
    for step in build["steps"]:
        if not _IMAGE.fullmatch(step["name"]):
            raise _bad(f'invalid build step name "{step["name"]}"')
    for image in build.get("images", ()):
        if not _IMAGE.fullmatch(image):
            more = " contains uppercase letters" if _IMAGE.fullmatch(image.lower()) else ""
            raise _bad(f'invalid image name "{image}"{more}')
    for tag in build.get("tags", ()):
        if not _TAG.fullmatch(tag):
            raise _bad(f'invalid build tag "{tag}": must match format "^([\\w][\\w.-]{{0,127}})$"')


def substituted(build: Build, values: Mapping[str, str]) -> Build:
    """Return a build in whose texts the parameters have become their values; one without a value becomes nothing."""

    def replaced(text: str) -> str:
        return _PARAMETER.sub(
            lambda match: "$" if match[0] == "$$" else values.get(match[1] or match[2], ""), text
        )

    return _mapped(build, replaced)


def seconds(text: str | None) -> float:
    """Return the seconds of a duration such as `600s`; 0 for none."""
    return float(text.removesuffix("s")) if text else 0.0


def variables(entries: Sequence[str]) -> dict[str, str]:
    """Return the values by name of texts such as `KEY=VALUE`."""
    pairs = (entry.partition("=") for entry in entries)
    return {key: value for key, _, value in pairs}


def _mapped(build: Build, change: Callable[[str], str]) -> Build:
    """Return a copy in which each text that takes parameters is changed."""
    steps = []
    for step in build["steps"]:
        texts = {key: change(step[key]) for key in ("name", "dir", "entrypoint") if key in step}
        lists = {key: [change(text) for text in step[key]] for key in ("args", "env") if key in step}
        steps.append({**step, **texts, **lists})
    lists = {key: [change(text) for text in build[key]] for key in ("images", "tags") if key in build}
    if "tags" in lists:
        lists["tags"] = list(dict.fromkeys(tag for tag in lists["tags"] if tag))
    options = dict(build.get("options") or {})
    if "env" in options:
        options["env"] = [change(text) for text in options["env"]]
    mapped = {**build, "steps": steps, **lists, **({"options": options} if options else {})}
    available = dict(build.get("availableSecrets") or {})
    if available.get("secretManager"):
        secrets = available["secretManager"]
        available["secretManager"] = [
            {**secret, "versionName": change(secret.get("versionName") or "")} for secret in secrets
        ]
        mapped["availableSecrets"] = available
    return mapped


def _bad(text: str) -> ApiError:
    return invalid(f"invalid build: {text}")


def _check_substitutions(values: Mapping[str, str]) -> None:
    where = "invalid .substitutions field:"
    if len(values) > 2 * _MOST:
        raise _bad(f"{where} number of substitutions {len(values)} exceeded (max: {2 * _MOST})")
    for key, value in values.items():
        if not _OWN.fullmatch(key) and key not in _OVERRIDABLE:
            raise _bad(
                f'{where} substitution key "{key}" does not respect format "^_[A-Z0-9_]+$" and is not an overridable '
                "built-in substitutions"
            )
        if len(value) > 4000:
            raise _bad(f'{where} substitution value "{value}" too long (max: 4000)')


def _check_artifacts(build: Build) -> None:
    artifacts = build.get("artifacts") or {}
    if build.get("images") and artifacts.get("images") and artifacts["images"] != build["images"]:
        raise _bad("invalid .artifacts field: cannot specify different .images and .artifacts.images")
    for key in artifacts:
        if key != "images" and artifacts[key]:
            raise unimplemented(f"'artifacts.{key}' of a build")
    if artifacts.get("images"):
        build["images"] = artifacts["images"]
    if len(build.get("images") or ()) > _MOST:
        raise _bad(f"invalid .artifacts field: cannot specify more than {_MOST} images to build")


def _check_steps(steps: Sequence[Build], limit: float) -> None:
    where = "invalid .steps field:"
    if not steps:
        raise _bad(f"{where} no build steps are specified")
    if len(steps) > 3 * _MOST:
        raise _bad(f"{where} cannot specify more than {3 * _MOST} build steps")
    known = {"-"}
    for number, step in enumerate(steps):
        wrong = next(_wrong_with(step, number, known, limit), None)
        if wrong:
            raise _bad(f"{where} {wrong}")
        if step.get("id"):
            known.add(step["id"])


def _wrong_with(step: Build, number: int, known: set[str], limit: float) -> Iterator[str]:
    own = step.get("id") or ""
    title = f'build step #{number} - "{own}"' if own else f"build step #{number}"
    yield from _wrong_size(step, number)
    for other in step.get("waitFor") or ():
        if other not in known:
            yield f'{title} depends on "{other}", which has not been defined'
    if own in known:
        yield f"{title}: the ID is not unique"
    for entry in step.get("env") or ():
        if "=" not in entry:
            yield f'build step #{number} - "{own}": the Env entry "{entry}" must be of the form "KEY=VALUE"'
    timeout = seconds(step.get("timeout"))
    if timeout < 0:
        yield f"invalid .timeout in build step #{number}: build step timeout must be >0"
    if timeout > limit:
        yield (
            f"invalid .timeout in build step #{number}: build step timeout {_go(timeout)} must be <= build timeout "
            f"{_go(limit)}"
        )


def _wrong_size(step: Build, number: int) -> Iterator[str]:
    if not step.get("name"):
        yield f"build step {number} must specify name"
    if step.get("script") and (step.get("args") or step.get("entrypoint")):
        yield f"build step {number} cannot specify script with args or entrypoint"
    if len(step.get("args") or ()) > _MOST:
        yield f"build step {number} too many args (max: {_MOST})"
    for index, arg in enumerate(step.get("args") or ()):
        if len(arg) > _LONGEST_ARG:
            yield f"build step {number} arg {index} too long (max: {_LONGEST_ARG})"


def _go(span: float) -> str:
    """Format seconds as Go writes durations: 10m0s."""
    hours, minutes, rest = int(span // 3600), int(span % 3600 // 60), span % 60
    text = f"{hours}h" if hours else ""
    text += f"{minutes}m" if hours or minutes else ""
    return f"{text}{rest:g}s"


def _check_template(build: Build) -> None:
    values = build.get("substitutions") or {}
    used: set[str] = set()
    missing: list[str] = []
    texts: list[str] = []

    def seen(text: str) -> str:
        texts.append(text)
        return text

    _mapped(build, seen)
    for text in texts:
        for match in _PARAMETER.finditer(text):
            key = match[1] or match[2]
            if not key:
                continue
            used.add(key)
            if key in values or key in _BUILT_IN or key in _OVERRIDABLE:
                continue
            if not _OWN.fullmatch(key):
                raise invalid(
                    f"invalid value for 'build.substitutions': key in the template \"{key}\" is not a valid built-in "
                    "substitution"
                )
            missing.append(f'key in the template "{key}" is not matched in the substitution data')
    options = build.get("options") or {}
    mapped = options.get("automapSubstitutions") or any(
        step.get("automapSubstitutions") for step in build["steps"]
    )
    if not mapped:
        missing += [
            f'key "{key}" in the substitution data is not matched in the template'
            for key in values
            if key not in used
        ]
    if missing and options.get("substitutionOption") != "ALLOW_LOOSE":
        raise invalid(";".join(missing))


def _check_secrets(build: Build) -> None:
    available = build.get("availableSecrets") or {}
    if build.get("secrets") or available.get("inline"):
        raise unimplemented("secrets that Cloud KMS has encrypted")
    defined = [secret.get("env") or "" for secret in available.get("secretManager") or ()]
    everywhere = set((build.get("options") or {}).get("secretEnv") or ())
    used = everywhere.union(*(step.get("secretEnv") or () for step in build["steps"]))
    where = "invalid .secrets field:"
    for env in defined:
        if defined.count(env) > 1:
            raise _bad(f'{where} secretEnv "{env}" is defined more than once')
        if env not in used:
            raise _bad(f'{where} secretEnv "{env}" is defined without being used')
    for env in sorted(used - set(defined)):
        raise _bad(f'{where} secretEnv "{env}" is used without being defined')
    for number, step in enumerate(build["steps"]):
        both = variables(step.get("env") or ()).keys() & {*(step.get("secretEnv") or ()), *everywhere}
        for env in sorted(both):
            raise _bad(f'{where} step {number} has secret and non-secret env "{env}"')


def _check_logging(build: Build) -> None:
    options = build.get("options") or {}
    chosen = options.get("logging") in {"CLOUD_LOGGING_ONLY", "NONE"} or build.get("logsBucket")
    if (
        build.get("serviceAccount")
        and not chosen
        and options.get("defaultLogsBucketBehavior") != _BUCKETS_OF_ONES_OWN
    ):
        raise invalid(
            "if 'build.service_account' is specified, the build must either (a) specify 'build.logs_bucket', (b) use "
            "the REGIONAL_USER_OWNED_BUCKET build.options.default_logs_bucket_behavior option, or (c) use either "
            "CLOUD_LOGGING_ONLY / NONE logging options"
        )
