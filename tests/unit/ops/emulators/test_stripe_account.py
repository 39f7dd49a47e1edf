from ops.emulators.stripe_account import Account, Answer

FORM = {"amount": "500", "currency": "usd"}
CARD = {"payment_method": "pm_card_visa"}


def created(account: Account, key: str = "k") -> str:
    answer = account.create({"id": f"pi_{key}", "object": "payment_intent"}, FORM, key)
    assert answer.status == 200
    return f"pi_{key}"


def test_the_first_answer_is_given_again() -> None:
    account = Account()
    assert account.begin("k", "/p", b"a=1") is None
    account.end("k", Answer(402, {"n": 1}))
    assert account.begin("k", "/p", b"a=1") == (Answer(402, {"n": 1}), True)


def test_other_parameters_under_a_key_are_refused() -> None:
    account = Account()
    account.begin("k", "/p", b"a=1")
    account.end("k", Answer(200, {}))
    for path, body in (("/p", b"a=2"), ("/q", b"a=1")):
        known = account.begin("k", path, body)
        assert known is not None
        assert (known[0].status, known[0].body["error"]["type"]) == (400, "idempotency_error")


def test_a_key_is_in_use_while_its_first_request_runs() -> None:
    account = Account()
    account.begin("k", "/p", b"")
    known = account.begin("k", "/p", b"")
    assert known is not None
    assert (known[0].status, known[0].body["error"]["code"]) == (409, "idempotency_key_in_use")


def test_a_request_that_did_not_begin_leaves_its_key_free() -> None:
    account = Account()
    account.begin("k", "/p", b"wrong")
    account.end("k", Answer(400, {}))
    assert account.begin("k", "/p", b"right") is None


def test_a_server_error_is_remembered_too() -> None:
    account = Account()
    account.begin("k", "/p", b"")
    account.end("k", Answer(500, {}))
    assert account.begin("k", "/p", b"") == (Answer(500, {}), True)


def test_a_payment_succeeds_once() -> None:
    account = Account()
    payment = created(account)
    assert account.confirm(payment, CARD).body["status"] == "succeeded"
    again = account.confirm(payment, CARD)
    assert again.status == 400
    assert again.body["error"]["payment_intent"]["status"] == "succeeded"
    assert account.summary()["received"] == 500


def test_a_declined_payment_takes_another_card() -> None:
    account = Account()
    payment = created(account)
    declined = account.confirm(payment, {"payment_method": "pm_card_visa_chargeDeclined"})
    assert (declined.status, declined.body["error"]["decline_code"]) == (402, "generic_decline")
    assert account.summary()["received"] == 0
    assert account.confirm(payment, CARD).status == 200


def test_the_summary_says_which_key_made_a_payment() -> None:
    account = Account()
    account.begin("k", "/v1/payment_intents", b"")
    created(account)
    summary = account.summary()
    assert summary["calls"] == {"k": 1}
    assert [(payment["key"], payment["status"]) for payment in summary["payments"]] == [
        ("k", "requires_payment_method")
    ]
    assert summary["succeeded"] == 0
