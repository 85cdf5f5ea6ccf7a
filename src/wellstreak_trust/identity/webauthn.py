"""The bridge to the `webauthn` package: its options, and its verification of what browsers send back.

The package raises errors of many kinds for hostile input, its own and the standard library's. All of them mean the same
here: this response proves nothing.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any, Final

from ..core.errors import InvalidCredential, MissingExtra
from .factor_store import PasskeyRow

try:
    from webauthn import (
        generate_authentication_options,
        generate_registration_options,
        options_to_json,
        verify_authentication_response,
        verify_registration_response,
    )
    from webauthn.authentication.verify_authentication_response import VerifiedAuthentication
    from webauthn.helpers import (
        parse_authentication_credential_json,
        parse_client_data_json,
        parse_registration_credential_json,
    )
    from webauthn.helpers.cose import COSEAlgorithmIdentifier
    from webauthn.helpers.structs import (
        AuthenticationCredential,
        AuthenticatorSelectionCriteria,
        AuthenticatorTransport,
        PublicKeyCredentialDescriptor,
        RegistrationCredential,
        ResidentKeyRequirement,
        UserVerificationRequirement,
    )
    from webauthn.registration.verify_registration_response import VerifiedRegistration
except ImportError:
    raise MissingExtra(
        "passkeys need webauthn", hint="pip install 'wellstreak-trust[passkeys]'", reason="extra"
    ) from None

__all__ = ["RelyingParty", "client_challenge", "read_assertion", "read_registration"]

_ALGORITHMS: Final = [
    COSEAlgorithmIdentifier.ECDSA_SHA_256,
    COSEAlgorithmIdentifier.EDDSA,
    COSEAlgorithmIdentifier.RSASSA_PKCS1_v1_5_SHA_256,
]
_RESPONSE_LIMIT: Final = 65_536
_MILLISECONDS: Final = 300_000

Response = str | dict[str, Any]


class RelyingParty:
    """What the browser is told and what its answers are held against."""

    def __init__(self, rp_id: str, name: str, origins: tuple[str, ...], *, verify_user: bool) -> None:
        self._rp_id: str = rp_id
        self._name: str = name
        self._origins: list[str] = list(origins)
        self._verify_user: bool = verify_user
        self._verification: UserVerificationRequirement = (
            UserVerificationRequirement.REQUIRED if verify_user else UserVerificationRequirement.PREFERRED
        )

    def registration(
        self, challenge: bytes, handle: bytes, names: tuple[str, str], held: Iterable[PasskeyRow]
    ) -> dict[str, Any]:
        """Options for ``navigator.credentials.create()``, as JSON that ``parseCreationOptionsFromJSON`` reads."""
        options = generate_registration_options(
            rp_id=self._rp_id,
            rp_name=self._name,
            user_name=names[0],
            user_id=handle,
            user_display_name=names[1] or names[0],
            challenge=challenge,
            timeout=_MILLISECONDS,
            authenticator_selection=AuthenticatorSelectionCriteria(
                resident_key=ResidentKeyRequirement.REQUIRED, user_verification=self._verification
            ),
            exclude_credentials=_descriptors(held),
            supported_pub_key_algs=_ALGORITHMS,
        )
        found: dict[str, Any] = json.loads(options_to_json(options))
        return found

    def authentication(self, challenge: bytes, held: Iterable[PasskeyRow]) -> dict[str, Any]:
        """Options for ``navigator.credentials.get()``; without passkeys named, the user picks one."""
        options = generate_authentication_options(
            rp_id=self._rp_id,
            challenge=challenge,
            timeout=_MILLISECONDS,
            allow_credentials=_descriptors(held),
            user_verification=self._verification,
        )
        found: dict[str, Any] = json.loads(options_to_json(options))
        return found

    def registered(self, response: RegistrationCredential, challenge: bytes) -> VerifiedRegistration:
        """What a registration proves; raises `InvalidCredential` for nothing."""
        try:
            return verify_registration_response(
                credential=response,
                expected_challenge=challenge,
                expected_rp_id=self._rp_id,
                expected_origin=self._origins,
                require_user_verification=self._verify_user,
                supported_pub_key_algs=_ALGORITHMS,
            )
        except Exception as error:
            raise _nothing(error) from None

    def asserted(self, response: AuthenticationCredential, challenge: bytes, row: PasskeyRow) -> VerifiedAuthentication:
        """What an assertion proves; the sign count is for the caller to judge."""
        try:
            return verify_authentication_response(
                credential=response,
                expected_challenge=challenge,
                expected_rp_id=self._rp_id,
                expected_origin=self._origins,
                credential_public_key=row.public_key,
                credential_current_sign_count=0,
                require_user_verification=self._verify_user,
            )
        except Exception as error:
            raise _nothing(error) from None


def read_registration(response: object) -> RegistrationCredential:
    """The answer of ``create()``; raises `InvalidCredential` for anything else."""
    try:
        return parse_registration_credential_json(_bounded(response))
    except Exception as error:
        raise _nothing(error) from None


def read_assertion(response: object) -> AuthenticationCredential:
    """The answer of ``get()``; raises `InvalidCredential` for anything else."""
    try:
        return parse_authentication_credential_json(_bounded(response))
    except Exception as error:
        raise _nothing(error) from None


def client_challenge(client_data: bytes) -> bytes:
    """The challenge that the browser says it answers; what it is worth, the store knows.

    Raises:
        InvalidCredential: no client data, or a ceremony inside somebody else's frame.
    """
    try:
        found = parse_client_data_json(client_data)
    except Exception as error:
        raise _nothing(error) from None
    if found.cross_origin:
        raise InvalidCredential("a ceremony in a frame of another site", reason="origin")
    return found.challenge


def _bounded(response: object) -> Response:
    size = len(response) if isinstance(response, str) else len(json.dumps(response))
    if size > _RESPONSE_LIMIT or not isinstance(response, str | dict):
        raise ValueError("no response")
    return response


def _descriptors(rows: Iterable[PasskeyRow]) -> list[PublicKeyCredentialDescriptor]:
    known = {each.value for each in AuthenticatorTransport}
    return [
        PublicKeyCredentialDescriptor(
            id=row.id, transports=[AuthenticatorTransport(name) for name in row.transports if name in known]
        )
        for row in rows
    ]


def _nothing(error: Exception) -> InvalidCredential:
    return InvalidCredential(f"webauthn: {type(error).__name__}", reason="response")  # its texts hold what was sent
