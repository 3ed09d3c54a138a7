"""The provider is derived from the base URL."""

import pytest

from guance_chatgpt_monitor.core.call import provider_name


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://api.openai.com/v1", "openai"),
        ("https://eu.api.openai.com/v1/", "openai"),
        ("", "openai"),
        ("https://mine.openai.azure.com/openai", "azure_openai"),
        ("https://mine.openai.azure.us/openai", "azure_openai"),
        ("https://mine.openai.azure.cn/openai", "azure_openai"),
        ("https://mine.cognitiveservices.azure.com/openai/", "azure_openai"),
        ("https://mine.cognitiveservices.azure.us/openai/", "azure_openai"),
        ("https://mine.cognitiveservices.azure.cn/openai/", "azure_openai"),
        ("https://mine.services.ai.azure.com/openai/v1", "azure_openai"),
        ("https://MINE.OpenAI.Azure.US./openai", "azure_openai"),
        ("https://front.azure-api.net/shop/openai", "azure_openai"),
        ("https://front.azure-api.cn/shop/other", "front.azure-api.cn"),
        ("https://llm.example.org/openai/deployments/gpt-4o", "azure_openai"),
        ("https://evil.openai.azure.us.example.org/openai", "evil.openai.azure.us.example.org"),
        ("https://api.deepseek.com/v1", "api.deepseek.com"),
        ("http://127.0.0.1:8000/v1", "127.0.0.1"),
        ("https://evil-api.openai.com.example.org", "evil-api.openai.com.example.org"),
    ],
)
def test_the_provider_follows_from_the_host(url: str, name: str) -> None:
    assert provider_name(url) == name
