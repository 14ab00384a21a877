"""Docker Hub, asked with an account of the user's: the repository has it, and who must read the secret is said."""

from __future__ import annotations

from typing import Any

import pytest

from cloud import Raw, act, enable
from deployers import Deployer
from deployment import google_for
from homeport import spec
from homeport.errors import HomeportError, SpecError
from homeport.export.fields import Fields
from homeport.export.repositories import upstream
from homeport.export.terraform import bodies
from homeport.resources.google.repository import DOCKER_HUB, remote_repository
from homeport.targets.cloudrun.docker_login import login_findings, login_of

LOGIN = {"docker_hub_user": "me", "docker_hub_secret": "docker-hub/1"}
SECRETS = "secretmanager.googleapis.com/v1/projects/rehearsal/secrets"
AGENT = "serviceAccount:service-481516234200@gcp-sa-artifactregistry.iam.gserviceaccount.com"
REPOSITORY = "projects/rehearsal/locations/europe-west4/repositories/home-docker-io"


def wanted(deployer: Deployer, **login: str) -> spec.Spec:
    return deployer.wanted().model_copy(update={"cloudrun": spec.CloudRun.model_validate(login)})


def keep_secret(deployer: Deployer, *, granted: bool) -> None:
    enable(deployer.cloud, "secretmanager")
    raw = Raw(deployer.cloud)
    act(raw.send("POST", f"{SECRETS}?secretId=docker-hub", {"replication": {"automatic": {}}}))
    for _ in range(2):
        act(raw.send("POST", f"{SECRETS}/docker-hub:addVersion", {"payload": {"data": "dG9rZW4="}}))
    bindings = [{"role": "roles/secretmanager.secretAccessor", "members": [AGENT]}] if granted else []
    act(raw.send("POST", f"{SECRETS}/docker-hub:setIamPolicy", {"policy": {"bindings": bindings}}))


def kept(deployer: Deployer) -> Any:  # Any: JSON
    found = deployer.cloud.store.get("artifactregistry", REPOSITORY)
    assert found is not None
    return found.body


def test_the_repository_asks_docker_hub_as_the_account_and_a_new_token_is_a_change_of_it() -> None:
    deployer = Deployer("vllm")
    keep_secret(deployer, granted=True)
    _, then = deployer.up(wanted(deployer, **LOGIN))
    assert not then.pending
    login = kept(deployer)["remoteRepositoryConfig"]["upstreamCredentials"]["usernamePasswordCredentials"]
    assert login == {
        "username": "me",
        "passwordSecretVersion": "projects/rehearsal/secrets/docker-hub/versions/1",
    }
    made = kept(deployer)["createTime"]
    _, then = deployer.up(wanted(deployer, **{**LOGIN, "docker_hub_secret": "docker-hub/2"}))
    assert not then.pending
    config = kept(deployer)["remoteRepositoryConfig"]
    assert config["upstreamCredentials"]["usernamePasswordCredentials"]["passwordSecretVersion"].endswith(
        "/2"
    )
    assert config["dockerRepository"] == {"publicRepository": "DOCKER_HUB"}
    assert kept(deployer)["createTime"] == made, "it was changed, and what it has fetched is there"


def test_where_google_s_agent_may_not_read_the_secret_up_ends_and_the_plan_had_the_command() -> None:
    deployer = Deployer("vllm")
    keep_secret(deployer, granted=False)
    file = wanted(deployer, **LOGIN)
    with pytest.raises(HomeportError, match="gcp-sa-artifactregistry"):
        deployer.up(file)
    (finding,) = login_findings(spec.CloudRun.model_validate(LOGIN), "rehearsal")
    assert "gcloud secrets add-iam-policy-binding docker-hub --project=rehearsal" in finding.hint
    assert AGENT.partition("@")[2] in finding.hint


def test_without_a_login_and_for_other_registries_nobody_is_named() -> None:
    assert login_of(spec.CloudRun(), DOCKER_HUB) is None
    assert login_of(spec.CloudRun.model_validate(LOGIN), "ghcr.io") is None
    assert list(login_findings(spec.CloudRun(), "p")) == []
    for half in ({"docker_hub_user": "me"}, {"docker_hub_secret": "docker-hub/1"}):
        with pytest.raises(SpecError, match="go together"):
            spec.parse({"name": "home", "model": "gemma-3-1b", "cloudrun": half})


def test_exports_name_the_account_and_the_secret_and_never_a_token() -> None:
    deployer = Deployer("vllm")
    login = ("me", "docker-hub/1")
    one = remote_repository(google_for(deployer.cloud), "home", "r", "europe-west4", DOCKER_HUB, login)
    version = "projects/rehearsal/secrets/docker-hub/versions/1"
    flags = upstream(Fields(dict(one.wanted), one.id))
    assert flags[-2:] == ["--remote-username=me", f"--remote-password-secret-version={version}"]
    made = str(bodies.upstream(one.wanted["remoteRepositoryConfig"]))
    assert "username_password_credentials" in made
    assert version in made
