"""Secrets: they have no text, and a pasted one is never repeated."""

from __future__ import annotations

import pickle

import pytest

from config import ConfigError, Secret, load_config
from tests.config.support import ENV_KEY, Writer, problems

CANARY = "canary-5f1e9c-SECRET"


def test_a_secret_has_no_text() -> None:
    secret = Secret(CANARY)
    shown = [repr(secret), str(secret), f"{secret}", f"{secret!r:>40}", repr([secret]), repr({"k": secret})]
    assert not any(CANARY in text for text in shown)
    assert secret.reveal() == CANARY
    assert secret == Secret(CANARY)
    assert secret != Secret("other")
    assert secret != CANARY
    assert bool(secret)
    assert not Secret("")
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret)
    with pytest.raises(TypeError, match="cannot be a key"):
        hash(secret)


@pytest.mark.parametrize(
    "line",
    [
        f'secret = "{CANARY}"',
        f'api_key = "{CANARY}"',
        f'passphrase = "{CANARY}"',
        f'kind = "{CANARY}"',
        f'api_key_env = "{CANARY}"',
        f'secret_env = ["{CANARY}"]',
        f'path = ["{CANARY}"]',
    ],
)
def test_a_pasted_secret_is_never_repeated(write: Writer, line: str) -> None:
    path = write(('source = "demo"', f'source = "env"\n{line}'))
    with pytest.raises(ConfigError) as caught:
        load_config(path)
    chain: list[BaseException | None] = [caught.value, caught.value.__cause__]
    assert not any(CANARY in str(error) for error in chain)
    assert caught.value.__suppress_context__ or caught.value.__context__ is None


def test_a_secret_in_a_hidden_field_by_the_environment_is_not_repeated(write: Writer) -> None:
    path = write(('source = "demo"', ENV_KEY))
    texts = problems(path, {"BULKHEAD__ACCOUNTS__MASTER__KEYS__BINANCE_SPOT__SECRET_ENV": CANARY})
    assert not any(CANARY in text for text in texts)
    assert any("never the key itself" in text for text in texts)
