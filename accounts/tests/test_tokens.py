"""Refresh tokens work once; whoever uses one again ends its family."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.utils import timezone

from accounts import tokens
from accounts.models import RefreshToken, User
from accounts.tokens import TokenError


def test_a_refresh_token_gives_the_next_pair(cast: SimpleNamespace) -> None:
    first = tokens.issue(cast.alice)
    second = tokens.rotate(str(first.refresh))
    assert second.user == cast.alice
    assert second.refresh["family"] == first.refresh["family"]
    assert second.refresh["jti"] != first.refresh["jti"]
    assert tokens.bearer(str(second.access))[0] == cast.alice


def test_a_reuse_ends_the_family_but_no_other(cast: SimpleNamespace) -> None:
    first, elsewhere = tokens.issue(cast.alice), tokens.issue(cast.alice)
    second = tokens.rotate(str(first.refresh))
    with pytest.raises(TokenError):
        tokens.rotate(str(first.refresh))
    with pytest.raises(TokenError):
        tokens.rotate(str(second.refresh))
    for pair in (first, second):
        with pytest.raises(TokenError):
            tokens.bearer(str(pair.access))
    assert tokens.rotate(str(elsewhere.refresh)).user == cast.alice


def test_a_revoked_family_gives_nothing(cast: SimpleNamespace) -> None:
    pair = tokens.issue(cast.alice)
    tokens.revoke_family(pair.refresh["family"])
    with pytest.raises(TokenError):
        tokens.rotate(str(pair.refresh))


def test_an_access_token_refreshes_nothing(cast: SimpleNamespace) -> None:
    with pytest.raises(TokenError):
        tokens.rotate(str(tokens.issue(cast.alice).access))


@pytest.mark.parametrize("token", [None, 1, "", "x.y.z", "\ud800", "x" * 5000])
def test_nonsense_refreshes_nothing(db: None, token: object) -> None:
    with pytest.raises(TokenError):
        tokens.rotate(token)


def test_a_token_without_its_row_refreshes_nothing(cast: SimpleNamespace) -> None:
    pair = tokens.issue(cast.alice)
    RefreshToken.objects.all().delete()
    with pytest.raises(TokenError):
        tokens.rotate(str(pair.refresh))


@pytest.mark.parametrize("end", ["deleted", "inactive", "everywhere"])
def test_who_may_not_come_in_may_not_refresh(cast: SimpleNamespace, end: str) -> None:
    pair = tokens.issue(cast.norma)
    if end == "deleted":
        cast.norma.delete()
    elif end == "inactive":
        User.objects.filter(pk=cast.norma.pk).update(is_active=False)
    else:
        cast.norma.revoke_tokens()
    with pytest.raises(TokenError):
        tokens.rotate(str(pair.refresh))


def test_an_expired_refresh_token_is_refused_and_forgotten_at_the_next_sign_in(cast: SimpleNamespace) -> None:
    claims = tokens.RefreshClaims.of(cast.alice, tokens.uuid.uuid4())
    claims.set_exp(from_time=timezone.now() - timedelta(days=8))
    RefreshToken.objects.create(
        user=cast.alice, family=claims["family"], jti=claims["jti"], expires_at=claims.expires_at
    )
    with pytest.raises(TokenError):
        tokens.rotate(str(claims))
    tokens.issue(cast.alice)
    assert not RefreshToken.objects.filter(jti=claims["jti"]).exists()


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("again", range(3))
def test_of_eight_uses_at_the_same_time_one_succeeds(on_disk: None, again: int) -> None:
    user = User.objects.create(username="ada", email="ada@example.org")
    pair, barrier = tokens.issue(user), threading.Barrier(8)

    def use(_: int) -> tokens.Pair | None:
        try:
            barrier.wait()
            return tokens.rotate(str(pair.refresh))
        except TokenError:
            return None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        winners = [next_pair for next_pair in pool.map(use, range(8)) if next_pair]
    assert len(winners) == 1
    with pytest.raises(TokenError):  # the other seven showed that it was stolen
        tokens.rotate(str(winners[0].refresh))
    assert not RefreshToken.objects.filter(revoked_at=None).exists()
