"""The client's own key is never logged, whatever its format."""

from openai import AzureOpenAI, OpenAI

from guance_chatgpt_monitor.app.client_keys import keys_of

# Zhipu's format, which no redaction rule knows.
KEY = "1234567890abcdef" + "1234567890abcdef/AbCdEfGhIjKlMnOp"


def test_the_keys_of_clients_and_headers_are_found() -> None:
    client = OpenAI(
        api_key=KEY, base_url="http://127.0.0.1:1", default_headers={"X-Api-Key": "two", "X-Team": "no"}
    )
    assert {KEY, "two"} <= set(keys_of(client, None))
    assert "no" not in keys_of(client, None)
    azure = AzureOpenAI(azure_ad_token=KEY, azure_endpoint="http://127.0.0.1:1", api_version="1")
    assert KEY in keys_of(azure, None)
    assert keys_of(object(), object()) == ()
