"""
HTTP basic authentication: a header in, whether it names a user with the right password out.

What a wrong password costs is the same for every name, known or not.  A verified password is
remembered by a digest that means nothing outside this process; the password itself never is.
"""

import base64
import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field

BCRYPT_BYTES = 72
"""bcrypt uses no more of a password; Go cuts it there, Python's bcrypt would refuse it."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """
    A name and a password, as a stranger gives them.
    """

    name: str
    password: bytes = field(repr=False)


def parse_basic(header: str) -> Credentials | None:
    """
    Read an Authorization header, RFC 7617; None for any other scheme and whatever is malformed.
    """
    scheme, _, encoded = header.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        name, colon, password = base64.b64decode(encoded.strip(" "), validate=True).partition(b":")
    except ValueError:
        return None
    if not colon:
        return None
    # What is not UTF-8 becomes a name that no configuration can hold.
    return Credentials(name.decode(errors="surrogateescape"), password[:BCRYPT_BYTES])


class Users:
    """
    Knows the passwords that were right, one for each user.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)
        self._verified: dict[str, bytes] = {}

    def knows(self, users: Mapping[str, bytes], credentials: Credentials) -> bool:
        """
        Tell at once whether this password was right before, of this user with this hash.
        """
        digest = self._digest(self._hash_for(users, credentials.name), credentials)
        known = hmac.compare_digest(self._verified.get(credentials.name, b""), digest)
        return known and credentials.name in users

    def verify(self, users: Mapping[str, bytes], credentials: Credentials) -> bool:
        """
        Tell whether the password is right, and remember it if so; takes long, one call at a time.
        """
        # Most have no users, and need not wait for the import at the start.
        import bcrypt  # noqa: PLC0415

        hashed = self._hash_for(users, credentials.name)
        try:
            right = bcrypt.checkpw(credentials.password, hashed)
        except ValueError:  # not a hash: nobody's password
            return False
        if not right or credentials.name not in users:
            return False
        verified = {name: digest for name, digest in self._verified.items() if name in users}
        self._verified = {**verified, credentials.name: self._digest(hashed, credentials)}
        return True

    def _hash_for(self, users: Mapping[str, bytes], name: str) -> bytes:
        """
        Find a user's hash; for a stranger that of some user, always the same for the same name.

        So strangers take as long as users, even where the users' hashes differ in cost.
        """
        hashes = list(users.values())
        some = hmac.digest(self._secret, name.encode(errors="surrogateescape"), "sha256")
        return users.get(name, hashes[int.from_bytes(some) % len(hashes)])

    def _digest(self, hashed: bytes, credentials: Credentials) -> bytes:
        """
        Make the digest of a user, his hash and a password; none can pass for another.
        """
        name = credentials.name.encode(errors="surrogateescape")
        parts = (name, hashed, credentials.password)
        text = b"".join(len(part).to_bytes(8) + part for part in parts)
        return hmac.digest(self._secret, text, "sha256")
