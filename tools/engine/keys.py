"""From `[accounts.<name>.keys.<venue>]` to signers; secrets pass through here once and are not kept.

Demo keys are made at each start and given to the simulator; they open nothing else.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

import attrs
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from config.schema import Config, KeyConfig, KeyKind, KeySource
from protocols.errors import ConfigError
from protocols.ids import AccountID, Venue
from protocols.venue import Signer
from protocols.venues.registry import VENUES


@attrs.frozen
class DemoCredential:
    """What the simulator must know of a demo key to check its signatures."""

    account: AccountID
    venue: Venue
    api_key: str
    hmac_secret: str | None = attrs.field(repr=False)
    ed25519_public_pem: str | None
    passphrase: str = attrs.field(default="", repr=False)


@attrs.frozen
class Keyring:
    """Signers of all accounts, and what the simulator must be told."""

    signers: Mapping[tuple[AccountID, Venue], Signer]
    demo: tuple[DemoCredential, ...]


def load_keys(config: Config, env: Mapping[str, str]) -> Keyring:
    """All keys of enabled accounts; ConfigError that names the key's place, never a part of the key."""
    signers: dict[tuple[AccountID, Venue], Signer] = {}
    demo: list[DemoCredential] = []
    passphrases: dict[str, str] = {}
    for account, entry in config.accounts.items():
        if not entry.enabled:
            continue
        for venue in entry.venues:
            where = f"accounts.{account}.keys.{venue}"
            key = entry.keys.get(venue)
            if key is None:
                raise ConfigError(f"{where} is missing: say where the key is kept")
            account_id, venue_id = AccountID(account), Venue(venue)
            settings = config.venues[venue]
            if not settings.enabled:
                continue
            make = VENUES[settings.kind.value].signer
            kind, passphrase = key.kind or settings.facts.key_kinds[0], settings.facts.passphrase
            if key.source is KeySource.DEMO:
                phrase = passphrases.setdefault(account, secrets.token_hex(16)) if passphrase else ""
                credential, secret = _demo(account_id, venue_id, kind, phrase)
                demo.append(credential)
                signer = make(credential.api_key, secret, credential.passphrase)
            else:
                read = _from_env if key.source is KeySource.ENV else _from_file
                api_key, secret, phrase = read(where, key, env, passphrase=passphrase)
                _refuse_other_kind(where, kind, secret)
                try:
                    signer = make(api_key, secret, phrase)
                except ConfigError as error:
                    raise ConfigError(f"{where}: {error}") from error
            signers[account_id, venue_id] = signer
    return Keyring(signers, tuple(demo))


def _demo(account: AccountID, venue: Venue, kind: KeyKind, phrase: str) -> tuple[DemoCredential, str]:
    """A fresh key: what the simulator may know of it, and the secret."""
    api_key = f"demo{account}{secrets.token_hex(16)}"
    if kind is KeyKind.HMAC:
        secret = secrets.token_hex(32)
        return DemoCredential(account, venue, api_key, secret, None, phrase), secret
    private = Ed25519PrivateKey.generate()
    pem = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    public = private.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    return DemoCredential(account, venue, api_key, None, public, phrase), pem


def _refuse_other_kind(where: str, kind: KeyKind, secret: str) -> None:
    """A key of another kind than was said would sign in another way, or not at all."""
    private_key = secret.lstrip().startswith("-----BEGIN")
    if kind is not KeyKind.HMAC and not private_key:
        raise ConfigError(f'{where}.kind: is "{kind.value}", but the secret is no PEM private key; correct one of them')
    if kind is KeyKind.HMAC and private_key:
        raise ConfigError(f'{where}.kind: is "hmac", but the secret is a PEM private key; correct one of them')


def _from_env(where: str, key: KeyConfig, env: Mapping[str, str], *, passphrase: bool) -> tuple[str, str, str]:
    """API key, secret and passphrase ("" without one)."""
    values = []
    for field in ("api_key_env", "secret_env", *(["passphrase_env"] if passphrase else [])):
        name = getattr(key, field)
        value = env.get(name, "")
        if not value:
            raise ConfigError(f"{where}.{field}: the environment variable it names is not set or empty; export it")
        values.append(value)
    return values[0], values[1], values[2] if passphrase else ""


def _from_file(where: str, key: KeyConfig, _: Mapping[str, str], *, passphrase: bool) -> tuple[str, str, str]:
    """API key, secret and passphrase ("" without one)."""
    path = key.path
    assert path is not None
    text = _private_text(where, path)
    api_key, _nl, secret = text.strip().partition("\n")
    phrase = ""
    if passphrase:
        secret, _nl, phrase = secret.strip().rpartition("\n")
        if not phrase.strip() or not secret.strip() or not api_key.strip():
            raise ConfigError(f"{where}.path: {path} must hold three lines: the API key, the secret, the passphrase")
    if not api_key.strip() or not secret.strip():
        raise ConfigError(f"{where}.path: {path} must hold the API key in line 1 and the secret below it")
    return api_key.strip(), secret.strip(), phrase.strip()


def _private_text(where: str, path: Path) -> str:
    """The file's text, if it is ours and nobody else can read it."""
    try:
        mode = path.stat().st_mode
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{where}.path: {path} cannot be read ({error.strerror}); check path and owner") from error
    except UnicodeDecodeError:
        # Without its cause: that holds the file's bytes, and tracebacks show causes.
        raise ConfigError(f"{where}.path: {path} is no text; it must be UTF-8 with the API key in line 1") from None
    if stat.S_IMODE(mode) & 0o077:
        raise ConfigError(f"{where}.path: {path} can be read by others (mode {stat.S_IMODE(mode):o}); chmod 600 it")
    if path.stat().st_uid not in (os.getuid(), 0):
        raise ConfigError(f"{where}.path: {path} belongs to somebody else; it must be yours")
    return text
