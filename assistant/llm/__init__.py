"""Language models by name: the embedded narrator, a transformers model in this process, or any LangChain provider.

Knows names, packages and addresses; not tools, prompts or evidence. Keys come from the environment when a model is
made; they are never stored or written out.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Any

from detectors.errors import AnomalyError

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

    from assistant.config import Config

NARRATOR = "narrator"
EXTRAS = {"openai": "openai", "ollama": "ollama", "anthropic": "anthropic"}  # provider -> extra of this package
_SECRET_NAME = re.compile(r"KEY|TOKEN|SECRET|PASSWORD", re.I)
_SECRET_TEXT = re.compile(
    r"\b(?:sk|pk|rk|hf|gsk|xai|ghp)[-_][A-Za-z0-9_\-*.]{6,}|(?<=Bearer )\S+|(?<=://)[^/\s:@]+:[^/\s@]+(?=@)"
)


def get_model(spec: str, config: Config | None = None) -> BaseChatModel:
    """The chat model that `spec` names.

    Args:
        spec: "narrator", "local:FOLDER_OR_HUB_ID", or "provider:name" as LangChain's `init_chat_model` knows them.
        config: base_url, temperature, timeout, max_tokens; the defaults where None.

    Raises:
        AnomalyError: the name is not understood, a package or key is missing, or the model cannot be loaded.
    """
    from assistant.config import Config

    config = config or Config()
    if spec.strip() in ("", NARRATOR):
        from assistant.llm.narrator import Narrator

        return Narrator()
    kind, _, name = spec.strip().partition(":")
    if not name:
        raise AnomalyError(
            f"The language model {spec!r} is not understood; use narrator, local:FOLDER or provider:name, such as "
            "openai:gpt-4o-mini or ollama:qwen3."
        )
    if kind == "local":
        from assistant.llm.local import load

        return load(name, device=config.device, max_new_tokens=config.max_tokens, timeout=config.timeout)
    return _provided(kind, name, config)


def warm_up() -> None:
    """Read what the narrator understands by, in the background: a page's first question then need not wait seconds.

    The narrator answers in any case where another model cannot.
    """
    import threading

    from assistant.llm.understand import understand

    threading.Thread(target=understand, args=("what was flagged?",), name="narrator", daemon=True).start()


def without_secrets(text: str) -> str:
    """A message that may be shown: keys, tokens and passwords blanked out."""
    for name, value in os.environ.items():
        if len(value) >= 6 and _SECRET_NAME.search(name):
            text = text.replace(value, "***")
    return _SECRET_TEXT.sub("***", text)


def _provided(provider: str, name: str, config: Config) -> BaseChatModel:
    """A model of a LangChain provider."""
    from langchain.chat_models import init_chat_model

    settings: dict[str, Any] = {"temperature": config.temperature, "max_tokens": config.max_tokens}
    if provider == "ollama":
        settings = {"temperature": config.temperature, "num_predict": config.max_tokens}
        settings["client_kwargs"] = {"timeout": config.timeout}
    else:
        settings |= {"timeout": config.timeout, "max_retries": 1}
    if config.base_url:
        settings["base_url"] = config.base_url
    key = config.api_key
    if key is None and provider == "openai" and config.base_url and not os.environ.get("OPENAI_API_KEY"):
        key = "none"  # servers of one's own ask for no key, but the client wants one
    if key is not None:
        settings["api_key"] = key
    try:
        return init_chat_model(name, model_provider=provider, **settings)
    except ImportError as error:
        raise AnomalyError(_missing_package(provider, str(error))) from error
    except Exception as error:  # every provider package has its own errors
        raise AnomalyError(_refused(provider, name, error)) from error


def _missing_package(provider: str, message: str) -> str:
    found = re.search(r"pip install -?U?\s*([\w-]+)", message)
    package = (
        f"'anomaly-assistant[{EXTRAS[provider]}]'"
        if provider in EXTRAS
        else found[1]
        if found
        else f"langchain-{provider}"
    )
    return f"The provider {provider!r} needs a package that is not installed; run: pip install {package}."


def _refused(provider: str, name: str, error: Exception) -> str:
    text = " ".join(without_secrets(str(error)).split())
    if re.search(r"api[_ ]?key|credential|token", text, re.I):
        variable = f"{provider.upper()}_API_KEY"
        return (
            f"The language model {provider}:{name} needs a key; set {variable} or ANOMALY_API_KEY in the environment."
        )
    if "Unsupported provider" in text or "model_provider" in text:
        return (
            f"The provider {provider!r} is unknown; use a provider of LangChain, such as openai, ollama or anthropic."
        )
    return f"The language model {provider}:{name} cannot be set up: {text[:300]}"
