"""What the doctor finds in a host that starts: one row a fault. What start-up refuses is in `faults_refused`.

A code and its id stay what they are once released; the letter of the id is the severity.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

__all__ = ["FOUND"]

FOUND: Final[Mapping[str, tuple[str, str, str, str]]] = {
    # code: (id, what is wrong, what an attacker or an outage does with it, the line that fixes it)
    # --- settings and process ---
    "kek_in_environment": (
        "W101",
        "The key-encryption key stands in the environment",
        "every child process, crash report and debug page of the process can show it, and it opens all secrets",
        "WELLSTREAK_TRUST_KEK_FILE=/run/secrets/kek.json, or a KeyProvider of a key service",
    ),
    "two_keks": (
        "E102",
        "Two key-encryption keys are set, and one of them is ignored",
        "who believes that the other one is in use rotates or destroys the wrong key",
        "unset WELLSTREAK_TRUST_KEK",
    ),
    "empty_setting": (
        "W103",
        "A variable is set and empty, so its default counts",
        "a secret or switch that a deployment failed to fill in is off without a word",
        "give the variable its value, or unset it",
    ),
    "replicas_too_few": (
        "E104",
        "More processes run than share the limits",
        "each process admits the whole limit while the store is down, so limits multiply by the processes",
        "WELLSTREAK_TRUST_REPLICAS=<workers times hosts>, or RateLimiter(replicas=...)",
    ),
    "profile_not_production": (
        "E105",
        "A public host runs in a profile that refuses nothing unsafe",
        "memory stores and fixed clocks are taken, and none of the checks for production run",
        "WELLSTREAK_TRUST_PROFILE=production, or Trust(profile='production')",
    ),
    "database_default": (
        "W106",
        "The database is the default file in the working directory",
        "a start from another folder, or a container without a volume, begins with an empty database",
        "WELLSTREAK_TRUST_DATABASE_URL=postgresql+psycopg://... or sqlite:////var/lib/host/trust.db",
    ),
    "tls_keys_logged": (
        "E107",
        "The process writes the keys of its TLS connections to a file",
        "whoever reads that file and recorded the traffic reads every token and password in it",
        "unset SSLKEYLOGFILE",
    ),
    "forwarded_allow_all": (
        "E108",
        "The server takes forwarding headers from everybody",
        "each caller chooses its own address, so no limit by address holds and the trail names strangers",
        "FORWARDED_ALLOW_IPS=<addresses of your proxies>",
    ),
    # --- composition ---
    "memory_accepted": (
        "W110",
        "A store in memory was accepted in production",
        "a restart forgets sessions, memberships or evidence, and each worker has its own",
        "a SQL or Redis store in its place",
    ),
    "part_unrecorded": (
        "W111",
        "A part records nothing in the audit trail",
        "sign-ins, keys, members or secrets change and no evidence is left of who did it",
        "give the part audit=AuditLog(...)",
    ),
    "no_counters": (
        "W112",
        "Nothing counts decisions",
        "an attack shows as a rise of refusals, and nobody can see it",
        "Trust(counters=Counters())",
    ),
    # --- identity ---
    "cookie_insecure": (
        "E120",
        "The session cookie goes without Secure and its __Host- prefix",
        "it travels over plain http, and a sibling host can plant one of its own",
        "SessionManager(store) without insecure_loopback=True",
    ),
    "session_long": (
        "W121",
        "Sessions live longer than a month",
        "a stolen token stays good for as long (OWASP ASVS 5, 7.3.2)",
        "SessionManager(absolute=timedelta(hours=12))",
    ),
    "session_idle_long": (
        "W122",
        "Sessions outlive a day without a request",
        "a browser that was left open is still signed in the next day (NIST SP 800-63B-4, 2.2.3)",
        "SessionManager(idle=timedelta(minutes=30))",
    ),
    "session_remembered_long": (
        "W123",
        "Remembered sessions live longer than a year",
        "a laptop that was sold or stolen stays signed in",
        "SessionManager(remember_absolute=timedelta(days=90))",
    ),
    "jwt_leeway": (
        "W124",
        "A token is good for more than a minute after its end",
        "a stolen or withdrawn token outlives its expiry",
        "JwtVerifier(leeway=timedelta(seconds=30)), and synchronised clocks",
    ),
    "jwt_lifetime": (
        "W125",
        "Tokens of any lifetime are taken",
        "one token that its issuer made for years cannot be waited out",
        "JwtVerifier(max_lifetime=timedelta(hours=1))",
    ),
    "jwt_shared_secret": (
        "W126",
        "Requests are proved by tokens under a shared secret",
        "every service that verifies them can also make them, for anybody",
        "JwtVerifier(keys, algorithms=('ES256',)) with the issuer's public key",
    ),
    "token_type_open": (
        "E127",
        "Tokens without a type of their own prove requests",
        "an ID token or logout token that leaks is taken for an access token (RFC 8725, 3.11)",
        "JwtVerifier(profile='access'), or a profile with typs={'at+jwt'}",
    ),
    "issuer_insecure": (
        "E128",
        "The sign-in provider is asked over plain http",
        "whoever is on the path answers with its own keys and signs in as anybody",
        "OidcProvider('https://...') without allow_insecure_loopback=True",
    ),
    "keys_without_rights": (
        "W129",
        "API keys are not cut to what their owner may do now",
        "the keys of somebody who left or lost a role go on working",
        "ApiKeys(store, rights=...)",
    ),
    # --- the edge ---
    "no_limiter": (
        "E130",
        "Nothing limits requests",
        "passwords and codes can be guessed, and one client can take the whole service",
        "Trust(limiter=RateLimiter([...], store=...))",
    ),
    "no_client_limit": (
        "W131",
        "No rule counts by client",
        "requests without a credential, sign-ins among them, are not limited at all",
        "LimitRule.parse('client', '60/minute', by=('client',))",
    ),
    "no_tenant_limit": (
        "W132",
        "No rule counts by tenant",
        "one workspace can take the capacity of all others",
        "LimitRule.parse('tenant', '3000/minute', by=('tenant',))",
    ),
    "limit_shadow": (
        "W133",
        "A rule only reports",
        "it refuses nobody, while a reader of the configuration believes that it does",
        "LimitRule(..., mode='enforce')",
    ),
    "observing": (
        "W239",
        "A control only watches",
        "it protects nobody, while a reader of the configuration believes that it does",
        "when its report is understood, put the part itself in its place",
    ),
    "limit_fails_open": (
        "E134",
        "A rule by client admits everything while its store is down",
        "whoever can disturb the store can then guess passwords without limit",
        "LimitRule(..., on_outage='local')",
    ),
    "limits_per_process": (
        "E135",
        "Limits are counted in each process by itself",
        "every worker admits the whole limit, so limits multiply by the processes",
        "WELLSTREAK_TRUST_REDIS_URL=rediss://..., or RateLimiter(store=RedisLimitStore(...))",
    ),
    "proxy_not_trusted": (
        "E136",
        "Rules count by client behind a proxy that is not declared",
        "everybody has the proxy's address: one abuser locks all others out",
        "WELLSTREAK_TRUST_TRUSTED_PROXIES='[\"10.0.0.0/8\"]', or ClientAddress(trusted_proxies=[...])",
    ),
    "proxies_wide": (
        "E137",
        "Forwarding headers are taken from a large part of the internet",
        "strangers inside that network choose their own address and dodge every limit",
        "list the addresses of your proxies, such as 10.0.0.0/8",
    ),
    "origin_compat": (
        "W138",
        "Cookies without any sign of their origin are accepted",
        "a client that strips Origin and Fetch Metadata can be made to write with its user's cookie",
        "OriginPolicy(mode='strict')",
    ),
    "origin_insecure": (
        "E139",
        "Pages over plain http may write here",
        "whoever is on the path, or runs something on that port, is such a page",
        "OriginPolicy(trusted=('https://...',))",
    ),
    "cors_public": (
        "W140",
        "Every page on the internet may read answers",
        "whatever a route gives without a credential can be read by any site, from inside your users' networks too",
        "CorsPolicy(('https://app.example.com',))",
    ),
    "cors_insecure": (
        "E141",
        "Pages over plain http may read answers",
        "whoever is on the path, or runs something on that port, reads them",
        "CorsPolicy(('https://...',))",
    ),
    "cors_zone_credentials": (
        "W142",
        "Every sibling host may read answers with the user's cookies",
        "one forgotten or taken-over subdomain reads what the user may read",
        "name each origin, or CorsPolicy(..., credentials=False)",
    ),
    "no_security_headers": (
        "E143",
        "Answers carry no security headers",
        "browsers sniff types, frame pages and go on over plain http",
        "Trust(security_headers=SecurityHeaders.api()), or .app() for pages",
    ),
    "hsts_weak": (
        "W144",
        "Strict-Transport-Security is missing or shorter than half a year",
        "the first request after it ends goes over plain http, and can be answered by whoever is on the path",
        "keep Strict-Transport-Security: max-age=63072000; includeSubDomains",
    ),
    "csp_unsafe": (
        "E145",
        "The content security policy lets injected script run",
        "one place that forgets to escape runs the attacker's script in every session",
        "with_csp('script-src', \"'self'\", NONCE)",
    ),
    "csp_absent": (
        "W146",
        "There is no content security policy for scripts",
        "one place that forgets to escape runs the attacker's script in every session",
        "SecurityHeaders.app(), or .api() where no page is rendered",
    ),
    "csp_report_only": (
        "W147",
        "The content security policy only reports",
        "it stops nothing, while a reader of the configuration believes that it does",
        "SecurityHeaders without report_only()",
    ),
    "tenant_header": (
        "W148",
        "Only a header names the tenant",
        "pages cannot send it in a navigation, caches and logs do not tell tenants apart, and clients confuse them",
        "PathSource('/w/{tenant}/') or SubdomainSource('example.com') beside it",
    ),
    # --- databases ---
    "database_in_memory": (
        "E150",
        "The database is in memory",
        "a restart forgets every session, member, secret and event",
        "sqlite:////var/lib/host/trust.db, or PostgreSQL",
    ),
    "sqlite_replicas": (
        "W151",
        "Several processes share one SQLite file",
        "writers wait for each other, on several hosts there are several databases, and on a network mount it breaks",
        "WELLSTREAK_TRUST_DATABASE_URL=postgresql+psycopg://...",
    ),
    "database_readable": (
        "E152",
        "Every user of this machine can read the database file",
        "members, sealed secrets, sessions and the trail can be copied by any process that runs here",
        "chmod 600 FILE, in a folder of mode 700",
    ),
    "database_plaintext": (
        "E153",
        "The database is reached over the network without TLS",
        "whoever is on the path reads and changes rows, and takes the password",
        "?sslmode=verify-full in the URL",
    ),
    "database_unreachable": (
        "E154",
        "The database does not answer",
        "no request can be authenticated or recorded: everything is refused",
        "try the same URL with the database's own client",
    ),
    "tables_missing": (
        "E155",
        "The tables are missing or of an older release",
        "the first request that needs them fails",
        "Database(engine).create_all(), before the host starts",
    ),
    "database_superuser": (
        "E156",
        "The host connects as a role above row level security",
        "one injected statement reads every tenant's rows",
        "ALTER ROLE app NOSUPERUSER NOBYPASSRLS; then wellstreak-trust doctor postgres",
    ),
    "redis_plaintext": (
        "E157",
        "Redis is reached over the network without TLS",
        "whoever is on the path reads its password, resets limits and revives sessions",
        "rediss:// in the URL",
    ),
    "redis_no_password": (
        "W158",
        "Redis is reached over the network without a password",
        "whoever reaches the port resets limits and reads what is stored",
        "rediss://user:password@host in the URL",
    ),
    "redis_unreachable": (
        "E159",
        "Redis does not answer",
        "limits fall back to their policy for outages, and what else is stored there cannot be had",
        "try redis-cli with the same URL",
    ),
    "redis_evicts": (
        "E160",
        "Redis throws keys away when its memory is full",
        "an attacker who fills it resets every limit, and replayed deliveries pass",
        "maxmemory-policy noeviction",
    ),
    "redis_not_persistent": (
        "W161",
        "Redis forgets everything when it restarts",
        "sessions, keys and finished deliveries are gone, so users are signed out and replays pass",
        "appendonly yes",
    ),
    # --- keys ---
    "key_file_readable": (
        "E170",
        "Others than its owner can read a key file",
        "any process on this machine can copy the key, sign checkpoints and open what it protects",
        "chmod 600 FILE",
    ),
    "key_file_replaceable": (
        "E171",
        "Others may write the folder of a key file",
        "they put a key of their own in its place, and from then on sign and open in this host's name",
        "chmod 700 FOLDER",
    ),
    "key_file_owner": (
        "E172",
        "A key file belongs to another user",
        "that user can replace the key, and so sign and open in this host's name",
        "chown it to the user that runs the host",
    ),
    "key_file_in_repository": (
        "E173",
        "A key file lies inside a repository",
        "one commit publishes it to everybody who can read the history, for ever",
        "move it to /etc or to the secret mount of the platform, and make a new key if it was ever committed",
    ),
    "key_file_served": (
        "E174",
        "A key file lies in a folder whose name says that it is served",
        "anybody can download it",
        "move it out of the folder, and make a new key",
    ),
    "key_beside_database": (
        "W175",
        "A key file lies in the folder of the database it protects",
        "one stolen backup or mount holds both, and the key protects nothing",
        "keep the key in another place that is not backed up with the data",
    ),
    "key_reused": (
        "E176",
        "One key serves two purposes",
        "who may have it for one has it for the other, and it cannot be rotated for one alone",
        "make a key for each: wellstreak-trust keys generate, openssl genpkey, openssl rand",
    ),
    "kek_old": (
        "W177",
        "The key-encryption key is older than a year",
        "everybody who ever held a copy of it can still open every secret",
        "wellstreak-trust keys generate NEW, KeyChain([new, old]), then wellstreak-trust keys rewrap",
    ),
    # --- the trail ---
    "audit_unsigned": (
        "E180",
        "The audit trail is not signed",
        "whoever can write the database rewrites history, and nobody can prove that it was otherwise",
        "wellstreak-trust audit new-key audit.pem, then WELLSTREAK_TRUST_AUDIT_KEY_FILE=audit.pem or signer=...",
    ),
    "audit_origin_default": (
        "E181",
        "The audit trail has a name that every host has by default",
        "checkpoints of two hosts cannot be told apart, and the name can never be changed later",
        "WELLSTREAK_TRUST_AUDIT_ORIGIN=example.com/audit, or AuditLog(origin=...)",
    ),
    "audit_personal_unkeyed": (
        "W182",
        "Personal values in the trail can be read with the database alone",
        "a stolen backup shows whom each event concerns, and a guessed address can be tried",
        "wellstreak-trust audit new-key people.key --personal, and WELLSTREAK_TRUST_AUDIT_PERSONAL_KEY_FILE=people.key",
    ),
    "audit_not_strict": (
        "W183",
        "Undeclared actions are recorded",
        "a misspelt action loses its criticality: what must not happen unrecorded may",
        "AuditLog(registry=ActionRegistry(ACTIONS))",
    ),
    # --- operations ---
    "operation_without_step_up": (
        "W191",
        "An operation of high risk asks for no fresh or strong sign-in",
        "a session that was stolen or left open is enough for it (OWASP ASVS 5, 7.5.3)",
        "step_up = {aal = 2, max_age = 900} in the permission, or Operation(step_up=StepUp(...))",
    ),
    "permission_unused": (
        "W193",
        "A permission is granted that no operation asks for",
        "either a route forgot its guard, or roles hold more than the host has",
        "guard the route with an Operation, or take the permission from the policy",
    ),
    "connection_unknown": (
        "E194",
        "An operation needs a connection that has no probes",
        "no such connection can ever be defined or proved, so the operation is always refused",
        "Connections(probes={provider: [HttpProbe(...)]})",
    ),
    "probe_insecure": (
        "E196",
        "A probe sends a tenant's credential over plain http",
        "whoever is on the path has the credential",
        "HttpProbe('...', 'https://...')",
    ),
    # --- policy ---
    "policy_forbid_always": (
        "W200",
        "A forbid of the policy holds in every case",
        "what it names can never be used, or it is a mistake",
        "write the condition that is meant",
    ),
    "policy_forbid_never": (
        "W201",
        "A forbid of the policy never holds",
        "what it was to stop passes",
        "write the condition that is meant",
    ),
    "policy_grant_always": (
        "W202",
        "The condition of a grant holds in every case",
        "the grant is wider than it reads",
        "write the condition that is meant, or drop it",
    ),
    "policy_grant_never": (
        "W203",
        "A grant of the policy never holds",
        "it reads as a right that nobody has",
        "write the condition that is meant, or drop the grant",
    ),
    "policy_idle_role": (
        "W204",
        "A role opens nothing",
        "people are given it in the belief that it does",
        "give it grants, or drop it",
    ),
    "policy_mixed_scopes": (
        "W205",
        "One role holds permissions of tenants and of the platform",
        "who operates the platform reads tenants' data without a trace of why",
        "make two roles",
    ),
    "policy_reaches_owner": (
        "W206",
        "A role can make itself the owner",
        "one member with that role takes the workspace over",
        "lower its rank, or narrow its grants",
    ),
    "policy_risky_grant": (
        "W207",
        "A role without rank holds permissions of high risk",
        "delegation cannot order it: anybody may hand it on",
        "give the role a rank, or the grant a condition",
    ),
    "policy_shadowed_grant": (
        "W208",
        "A narrow grant is made void by a wider one",
        "the condition that was written checks nothing",
        "drop the wider grant",
    ),
    "policy_ungranted_permission": (
        "W209",
        "No role grants a permission",
        "what asks for it is refused to everybody",
        "grant it, or take it from the catalogue",
    ),
    "policy_unguarded_forbid": (
        "W210",
        "A forbid denies where its attribute is absent",
        "one missing attribute locks everybody out",
        "write has(resource.x) && ...",
    ),
    # --- webhooks and disclosure ---
    "webhook_weak_secret": (
        "E220",
        "A webhook verifier takes secrets that can be guessed",
        "whoever guesses the secret forges deliveries: payments, revocations, messages",
        "verifier(name, secrets=[...]) without allow_weak=True, and a secret of 16 bytes or more",
    ),
    "webhook_secret_shared": (
        "E221",
        "Two webhook endpoints share a secret",
        "what one provider signs can be sent to the other endpoint, and neither can rotate alone",
        "give each endpoint a secret of its own",
    ),
    "webhook_window_long": (
        "W222",
        "A webhook is taken long after it was signed",
        "a recorded delivery can be sent again for as long as nothing remembers it",
        "verifier(name, secrets, tolerance=timedelta(minutes=5))",
    ),
    "replay_short": (
        "W223",
        "Finished deliveries are forgotten before providers stop to retry",
        "one event is processed twice",
        "ReplayGuard(store, ttl=timedelta(hours=72))",
    ),
    "replay_accepts": (
        "W224",
        "Deliveries are processed without protection while the replay store is down",
        "whoever can disturb the store can replay",
        "ReplayGuard(store, on_store_error='reject')",
    ),
    "security_txt_expired": (
        "E225",
        "security.txt has expired",
        "its route answers 404, and who found a hole has nobody to tell",
        "review the contacts, then SecurityTxt(reviewed_at=<today>)",
    ),
    "security_txt_expiring": (
        "W226",
        "security.txt expires within a month",
        "its route then answers 404, and who found a hole has nobody to tell",
        "review the contacts, then SecurityTxt(reviewed_at=<today>)",
    ),
    # --- the framework ---
    "debug_mode": (
        "E230",
        "The application runs in debug mode",
        "error pages show code, settings and variables, and some run what a visitor types",
        "DEBUG = False, and no FLASK_DEBUG",
    ),
    "hosts_any": (
        "E231",
        "Requests for every host name are answered",
        "links in mails and redirects lead where the Host header says, and rebinding reaches the host",
        "ALLOWED_HOSTS = ['app.example.com']",
    ),
    "middleware_order": (
        "E232",
        "Other middleware runs outside of TrustMiddleware",
        "its answers go without origin checks and headers, and refusals inside it become bare errors",
        "put TrustMiddleware first in MIDDLEWARE; with Starlette, add it last",
    ),
    "middleware_missing": (
        "E233",
        "TrustMiddleware is not installed",
        "refusals become bare errors, and no answer carries CORS or security headers",
        "MIDDLEWARE = ['wellstreak_trust.adapters.django.TrustMiddleware', ...]",
    ),
    "cors_twice": (
        "E234",
        "A second CORS middleware speaks beside Trust(cors=...)",
        "the wider of two policies wins, and nobody reads both",
        "take the other middleware out, and list its origins in CorsPolicy",
    ),
    "secret_key_weak": (
        "E235",
        "The framework's secret key can be guessed",
        "whoever guesses it makes session cookies and reset links for anybody",
        "SECRET_KEY = 50 random characters from the environment",
    ),
    "framework_cookie_insecure": (
        "W236",
        "The framework's own session cookie goes without Secure",
        "it travels over plain http",
        "SESSION_COOKIE_SECURE = True",
    ),
    "forwarded_host_open": (
        "E237",
        "The host name is taken from a header that everybody can send",
        "links in mails and redirects lead where the attacker says",
        "declare the proxies in ClientAddress(trusted_proxies=[...]), or USE_X_FORWARDED_HOST = False",
    ),
    "forwarded_scheme_open": (
        "E238",
        "Whether a request came over TLS is taken from a header that everybody can send",
        "plain http passes for https, so secure cookies and redirects are not enforced",
        "declare the proxies in ClientAddress(trusted_proxies=[...]), or unset SECURE_PROXY_SSL_HEADER",
    ),
}
