"""Keys: every place that can be wrong is named, and no error ever repeats what may be a secret."""

from __future__ import annotations

import os
from pathlib import Path

import attrs
import pytest

from config import Config, load_config
from protocols.errors import ConfigError
from protocols.ids import AccountID, Venue
from tools.engine.keys import load_keys
from tools.simulator import derive_credentials

VENUE = "binance-spot"
WHERE = f"accounts.master.keys.{VENUE}"
CREDENTIALS = derive_credentials("master")
PLANTED = "PLANTED-SECRET-a8f3"
PEM = CREDENTIALS.ed25519_private_pem


def config(**keys: object) -> Config:
    """The demo, with master's key kept elsewhere."""
    given: dict[str, object] = {f"{WHERE}.{name}": value for name, value in keys.items()}
    return load_config("demo", overrides=given)


def from_env(kind: str = "ed25519") -> Config:
    return config(source="env", kind=kind, api_key_env="MASTER_KEY", secret_env="MASTER_SECRET")


def refusal(loaded: Config, env: dict[str, str] | None = None) -> str:
    """What the error says, wherever it may be shown."""
    with pytest.raises(ConfigError) as refused:
        load_keys(loaded, env or {})
    shown = f"{refused.value} {refused.value!r} {refused.value.__cause__!r} {refused.value.__cause__}"
    assert PLANTED not in shown
    assert CREDENTIALS.hmac_secret not in shown
    assert "PRIVATE KEY" not in shown
    return str(refused.value)


def test_demo_keys_are_made_at_each_start_and_told_to_the_simulator_only() -> None:
    loaded = load_config("demo")
    one, two = load_keys(loaded, {}), load_keys(loaded, {})
    assert set(one.signers) == {(AccountID("master"), Venue(VENUE)), (AccountID("sub1"), Venue(VENUE))}
    by_account = {credential.account: credential for credential in one.demo}
    assert by_account[AccountID("master")].hmac_secret is None
    assert (by_account[AccountID("master")].ed25519_public_pem or "").startswith("-----BEGIN PUBLIC KEY-----")
    secret = by_account[AccountID("sub1")].hmac_secret
    assert secret
    assert {c.api_key for c in one.demo}.isdisjoint({c.api_key for c in two.demo})
    for shown in (repr(one), str(one), repr(one.demo), *(repr(s) for s in one.signers.values())):
        assert secret not in shown
        assert "PRIVATE KEY" not in shown


@pytest.mark.parametrize("kind", ["ed25519", "hmac"])
def test_keys_from_the_environment_sign(kind: str) -> None:
    key = CREDENTIALS.ed25519_key if kind == "ed25519" else CREDENTIALS.hmac_key
    secret = PEM if kind == "ed25519" else CREDENTIALS.hmac_secret
    ring = load_keys(from_env(kind), {"MASTER_KEY": key, "MASTER_SECRET": secret})
    signer = ring.signers[AccountID("master"), Venue(VENUE)]
    assert signer.api_key == key
    assert [c.account for c in ring.demo] == ["sub1"]  # the simulator is told nothing of a real key
    assert secret not in repr(signer)


@pytest.mark.parametrize("missing", ["MASTER_KEY", "MASTER_SECRET"])
@pytest.mark.parametrize("empty", [True, False])
def test_a_variable_that_is_not_set_is_named_by_its_place(missing: str, empty: bool) -> None:
    env = {"MASTER_KEY": PLANTED, "MASTER_SECRET": PLANTED}
    if empty:
        env[missing] = ""
    else:
        del env[missing]
    field = "api_key_env" if missing == "MASTER_KEY" else "secret_env"
    text = refusal(from_env(), env)
    assert text.startswith(f"{WHERE}.{field}: ")
    assert "export" in text


def test_a_secret_written_where_a_variables_name_belongs_is_not_repeated() -> None:
    text = refusal(config(source="env", api_key_env=PLANTED.replace("-", "_"), secret_env="MASTER_SECRET"))
    assert PLANTED.replace("-", "_") not in text


@pytest.mark.parametrize("secret", [PLANTED, f"-----BEGIN PRIVATE KEY-----\n{PLANTED}\n-----END PRIVATE KEY-----\n"])
def test_a_secret_that_is_no_key_is_refused_by_its_place(secret: str) -> None:
    text = refusal(config(source="env", kind="ed25519", api_key_env="K", secret_env="S"), {"K": "key", "S": secret})
    assert text.startswith((f"{WHERE}: ", f"{WHERE}.kind: "))


def test_a_private_key_is_not_taken_for_an_hmac_secret() -> None:
    text = refusal(from_env("hmac"), {"MASTER_KEY": "key", "MASTER_SECRET": PEM})
    assert text.startswith(f'{WHERE}.kind: is "hmac", but')


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A key file as it should be."""
    path = tmp_path / "master.key"
    path.touch(mode=0o600)
    path.write_text(f"{CREDENTIALS.ed25519_key}\n{PEM}")
    return path


def from_file(path: Path) -> Config:
    return config(source="file", kind="ed25519", path=str(path))


def test_a_key_file_holds_the_api_key_and_below_it_the_secret(key_file: Path) -> None:
    ring = load_keys(from_file(key_file), {})
    assert ring.signers[AccountID("master"), Venue(VENUE)].api_key == CREDENTIALS.ed25519_key


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
def test_a_key_file_that_others_can_read_is_refused(key_file: Path, mode: int) -> None:
    key_file.chmod(mode)
    text = refusal(from_file(key_file))
    assert text.startswith(f"{WHERE}.path: {key_file}")
    assert f"mode {mode:o}" in text
    assert "chmod 600" in text


def test_a_key_file_that_is_not_there_or_no_file_is_named(tmp_path: Path) -> None:
    text = refusal(from_file(tmp_path / "nothing"))
    assert "No such file" in text
    assert str(tmp_path / "nothing") in text
    assert "cannot be read" in refusal(from_file(tmp_path))


@pytest.mark.skipif(os.getuid() != 0, reason="only root can give a file away to try it")
def test_a_key_file_of_somebody_else_is_refused(key_file: Path) -> None:
    os.chown(key_file, 65534, 65534)
    assert "belongs to somebody else" in refusal(from_file(key_file))


@pytest.mark.parametrize("text", ["", "only-one-line", "\nsecret below nothing", "key\n", "key\n   \n"])
def test_a_key_file_without_both_parts_is_refused(key_file: Path, text: str) -> None:
    key_file.write_text(text)
    assert "must hold the API key in line 1 and the secret below it" in refusal(from_file(key_file))


def test_a_key_file_that_is_no_text_is_refused(key_file: Path) -> None:
    key_file.write_bytes(b"\xff\xfe\x00" + PLANTED.encode())
    assert "text" in refusal(from_file(key_file))


def test_a_key_that_is_nowhere_is_asked_for() -> None:
    loaded = load_config("demo")
    accounts = {**loaded.accounts, "master": attrs.evolve(loaded.accounts["master"], keys={})}
    assert refusal(attrs.evolve(loaded, accounts=accounts)) == f"{WHERE} is missing: say where the key is kept"


def test_a_disabled_account_needs_no_key() -> None:
    loaded = load_config(
        "demo",
        overrides={
            "accounts.sub1.enabled": False,
            "strategies.maker-btc.enabled": False,
            "strategies.maker-alt.enabled": False,
            "strategies.tfpe.account": "master",
        },
    )
    assert {account for account, _ in load_keys(loaded, {}).signers} == {"master"}


# ---- other venues ------------------------------------------------------------------------------------------------

OKX = "accounts.master.keys.okx-spot"


def five() -> Config:
    """One account with a key for every venue."""
    return load_config("five-venues")


def test_demo_keys_of_one_exchange_open_one_account_with_one_passphrase() -> None:
    ring = load_keys(five(), {})
    assert {venue for _, venue in ring.signers} == set(five().venues)
    okx = [credential for credential in ring.demo if credential.venue.startswith("okx-")]
    assert len({credential.passphrase for credential in okx}) == 1
    assert okx[0].passphrase
    assert {c.passphrase for c in ring.demo if not c.venue.startswith("okx-")} == {""}
    assert all(credential.passphrase not in repr(ring) for credential in okx)
    kinds = {str(c.venue): "hmac" if c.hmac_secret else "ed25519" for c in ring.demo}
    assert kinds["binance-usdm"] == "ed25519", "the venue's usual kind"
    assert {kinds[name] for name in ("bybit-spot", "okx-swap", "upbit")} == {"hmac"}


def with_okx_from_env(**more: object) -> Config:
    where = {f"{OKX}.source": "env", f"{OKX}.api_key_env": "K", f"{OKX}.secret_env": "S", f"{OKX}.passphrase_env": "P"}
    return load_config("five-venues", overrides={**where, **more})


def test_a_passphrase_comes_from_its_own_variable() -> None:
    signers = load_keys(with_okx_from_env(), {"K": "key", "S": PLANTED, "P": "phrase"}).signers
    signer = signers[AccountID("master"), Venue("okx-spot")]
    assert getattr(signer, "passphrase", "") == "phrase"
    text = refusal(with_okx_from_env(), {"K": "key", "S": PLANTED})
    assert text.startswith(f"{OKX}.passphrase_env: ")


@pytest.mark.parametrize(
    "text, usable", [(f"key\n{PLANTED}\nphrase\n", True), (f"key\n{PLANTED}\n", False), ("key\n\n\n", False)]
)
def test_a_passphrase_is_the_last_line_of_a_key_file(tmp_path: Path, text: str, usable: bool) -> None:
    path = tmp_path / "okx.key"
    path.touch(mode=0o600)
    path.write_text(text)
    loaded = load_config("five-venues", overrides={f"{OKX}.source": "file", f"{OKX}.path": str(path)})
    if usable:
        signer = load_keys(loaded, {}).signers[AccountID("master"), Venue("okx-spot")]
        assert (signer.api_key, getattr(signer, "passphrase", "")) == ("key", "phrase")
    else:
        assert refusal(loaded) == f"{OKX}.path: {path} must hold three lines: the API key, the secret, the passphrase"


def test_a_venue_that_is_disabled_needs_no_key() -> None:
    off = {"venues.okx-spot.enabled": False, "strategies.maker-okx-spot.enabled": False}
    assert Venue("okx-spot") not in {venue for _, venue in load_keys(with_okx_from_env(**off), {}).signers}
