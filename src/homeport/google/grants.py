"""The command that grants what somebody lacks."""

from __future__ import annotations

_ROLES = (
    ("agentregistry.", "roles/agentregistry.editor"),
    ("apigateway.", "roles/apigateway.admin"),
    ("apikeys.", "roles/serviceusage.apiKeysAdmin"),
    ("artifactregistry.", "roles/artifactregistry.admin"),
    ("artifactregistry.repositories.downloadArtifacts", "roles/artifactregistry.reader"),
    ("artifactregistry.repositories.uploadArtifacts", "roles/artifactregistry.writer"),
    ("certificatemanager.", "roles/certificatemanager.owner"),
    ("cloudbuild.", "roles/cloudbuild.builds.editor"),
    ("cloudquotas.", "roles/cloudquotas.viewer"),
    ("cloudscheduler.", "roles/cloudscheduler.admin"),
    ("compute.", "roles/compute.networkAdmin"),
    ("compute.backendServices.", "roles/compute.loadBalancerAdmin"),
    ("compute.firewalls.", "roles/compute.securityAdmin"),
    ("compute.firewalls.list", "roles/compute.networkAdmin"),
    ("compute.forwardingRules.", "roles/compute.loadBalancerAdmin"),
    ("compute.globalForwardingRules.", "roles/compute.loadBalancerAdmin"),
    ("compute.regionNetworkEndpointGroups.", "roles/compute.loadBalancerAdmin"),
    ("compute.regionSecurityPolicies.", "roles/compute.securityAdmin"),
    ("compute.regionSslCertificates.", "roles/compute.loadBalancerAdmin"),
    ("compute.securityPolicies.", "roles/compute.securityAdmin"),
    ("compute.sslCertificates.", "roles/compute.loadBalancerAdmin"),
    ("compute.subnetworks.use", "roles/compute.networkUser"),
    ("compute.target", "roles/compute.loadBalancerAdmin"),
    ("compute.urlMaps.", "roles/compute.loadBalancerAdmin"),
    ("dns.", "roles/dns.admin"),
    ("iam.roles.", "roles/iam.roleAdmin"),
    ("iam.serviceAccounts.", "roles/iam.serviceAccountAdmin"),
    ("iam.serviceAccounts.actAs", "roles/iam.serviceAccountUser"),
    ("iam.serviceAccounts.getAccessToken", "roles/iam.serviceAccountTokenCreator"),
    ("iam.serviceAccounts.getOpenIdToken", "roles/iam.serviceAccountOpenIdTokenCreator"),
    ("iam.serviceAccounts.implicitDelegation", "roles/iam.serviceAccountTokenCreator"),
    ("iam.serviceAccounts.sign", "roles/iam.serviceAccountTokenCreator"),
    ("iap.", "roles/iap.admin"),
    ("iap.projects.getSettings", "roles/iap.settingsAdmin"),
    ("iap.web.getSettings", "roles/iap.settingsAdmin"),
    ("iap.webServices.getSettings", "roles/iap.settingsAdmin"),
    ("iap.webTypes.getSettings", "roles/iap.settingsAdmin"),
    ("iap.webServiceVersions.accessViaIAP", "roles/iap.httpsResourceAccessor"),
    ("logging.", "roles/logging.viewer"),
    ("modelarmor.", "roles/modelarmor.admin"),
    ("monitoring.", "roles/monitoring.editor"),
    ("networkconnectivity.", "roles/networkconnectivity.regionalEndpointAdmin"),
    ("networksecurity.", "roles/compute.networkAdmin"),
    ("networkservices.", "roles/networkservices.serviceExtensionsAdmin"),
    ("orgpolicy.", "roles/orgpolicy.policyViewer"),
    ("resourcemanager.projects.get", "roles/browser"),
    ("resourcemanager.projects.setIamPolicy", "roles/resourcemanager.projectIamAdmin"),
    ("run.", "roles/run.admin"),
    ("run.routes.invoke", "roles/run.servicesInvoker"),
    ("secretmanager.", "roles/secretmanager.admin"),
    ("secretmanager.versions.access", "roles/secretmanager.secretAccessor"),
    ("serviceusage.", "roles/serviceusage.serviceUsageAdmin"),
    ("serviceusage.services.use", "roles/serviceusage.serviceUsageConsumer"),
    ("storage.", "roles/storage.admin"),
    ("storage.objects.", "roles/storage.objectUser"),
    ("storage.objects.get", "roles/storage.objectViewer"),
    ("storage.objects.list", "roles/storage.objectViewer"),
)
"""The least role that homeport's work needs, by permission or the beginning of one; the longest that fits counts."""

_LOWERED = tuple(sorted(((start.lower(), role) for start, role in _ROLES), key=lambda pair: -len(pair[0])))
_ON_AN_ACCOUNT = (
    "iam.serviceAccounts.actAs", "iam.serviceAccounts.getAccessToken", "iam.serviceAccounts.getOpenIdToken",
    "iam.serviceAccounts.implicitDelegation", "iam.serviceAccounts.sign",
)  # fmt: skip
"""What is better granted on one service account than on all of a project."""


def role_for(permission: str) -> str:
    """Return the least predefined role with this permission that homeport knows; '' where it knows none."""
    lowered = permission.lower()
    return next((role for start, role in _LOWERED if lowered.startswith(start)), "")


def member_of(principal: str) -> str:
    """Return a principal as policies name it; a placeholder for one that is not known."""
    if not principal:
        return "user:YOUR_E-MAIL"
    if principal.startswith(("principal:", "principalSet:", "user:", "serviceAccount:", "group:")):
        return principal
    return f"{'serviceAccount' if principal.endswith('gserviceaccount.com') else 'user'}:{principal}"


def command(permission: str, *, principal: str, project: str, account: str = "") -> str:
    """
    Return the command that grants `principal` what it lacks.

    `account` is the e-mail of the service account that it is about, if it is about one.
    """
    role = role_for(permission) or "ROLE"
    member = member_of(principal)
    if account and permission.lower().startswith(tuple(start.lower() for start in _ON_AN_ACCOUNT)):
        where = f"iam service-accounts add-iam-policy-binding {account}" + (
            f" --project={project}" if project else ""
        )
    else:
        where = f"projects add-iam-policy-binding {project or 'PROJECT'}"
    return f"gcloud {where} --member={member} --role={role}"
