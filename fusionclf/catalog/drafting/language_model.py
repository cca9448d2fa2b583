"""Synonyms from a language model behind an endpoint that speaks the OpenAI protocol. Its answers are not trusted."""

import ipaddress
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx2

from fusionclf.catalog.counted_examples import CountedExamples
from fusionclf.catalog.drafting.draft import Synonym
from fusionclf.catalog.synonyms import is_name
from fusionclf.console import SILENT, Console
from fusionclf.errors import SettingsError, quoted

CLASSES_AT_ONCE = 20
MOST_NAMES = 20  # of a class
MOST_BYTES = 2**20  # of an answer
TRIES = 3
TRY_AGAIN = (408, 429, 500, 502, 503, 504)  # HTTP status codes
REQUEST = """\
Below are classes of a shop's products, each with its category. For each class give up to 12 other names that titles \
of such products use for them: synonyms, kinds of the product, abbreviations, other spellings; no brands, no names of \
the other classes. Answer with one JSON object alone that maps each class, spelled as here, to a list of names.

"""


class EndpointError(SettingsError):
    """A language model cannot be reached, or does not answer as the protocol says."""


@dataclass(frozen=True)
class Endpoint:
    """A server of a language model.

    Attributes:
        url: the base, such as https://api.openai.com/v1 or http://localhost:8000/v1.
        model: its name there.
        key: sent as a bearer token; "" for none.
        seconds: that one answer may take.
        backoff: seconds before the second try; the third waits twice as long.
    """

    url: str
    model: str
    key: str = field(default="", repr=False)
    seconds: float = 120.0
    backoff: float = 2.0

    def check(self) -> None:
        """Refuse a URL that is no http(s) address, or to which the key would go unencrypted.

        Raises:
            EndpointError: it is none of http or https, or it is http to another machine and there is a key.
        """
        try:
            url = httpx2.URL(self.url)
        except (httpx2.InvalidURL, TypeError, ValueError) as error:
            raise EndpointError(f"--endpoint {quoted(self.url)}: not a URL; give https://HOST/v1") from error
        if url.scheme not in ("http", "https") or not url.host or url.userinfo:
            raise EndpointError(
                f"--endpoint {quoted(self.url)}: give http:// or https:// and a host, such as http://localhost:8000/v1"
            )
        if self.key and url.scheme == "http" and not _is_here(url.host):
            raise EndpointError(
                f"--endpoint {quoted(self.url)}: would send the key unencrypted; use https://"
            )


def suggest(
    classes: Mapping[str, str], endpoint: Endpoint, console: Console = SILENT
) -> Iterator[tuple[str, Synonym]]:
    """Class and further name, as a language model suggests them.

    It gets the classes and their categories alone, no title.

    Args:
        classes: class → its category; "" for none.
        endpoint: the server.
        console: where progress and what was left out go.

    Raises:
        EndpointError: it cannot be reached, refuses, or no answer can be used.
    """
    endpoint.check()
    names, left_out, answered = list(classes), CountedExamples(), 0
    batches = [names[start : start + CLASSES_AT_ONCE] for start in range(0, len(names), CLASSES_AT_ONCE)]
    headers = {"Authorization": f"Bearer {endpoint.key}"} if endpoint.key else {}
    limits = httpx2.Timeout(endpoint.seconds, connect=min(10.0, endpoint.seconds))
    with (
        httpx2.Client(timeout=limits, headers=headers, follow_redirects=False) as client,
        console.progress("classes to the language model", len(batches)) as on_step,
    ):
        for batch in batches:
            text = _ask(client, endpoint, {name: classes[name] for name in batch})
            found = _parse(text, batch, left_out)
            answered += bool(found)
            for name, others in found.items():
                yield from ((name, Synonym(other, f"language model {endpoint.model}")) for other in others)
            on_step()
    if left_out.count:
        console.warn(
            f"--model {endpoint.model}: {left_out.count:,} parts of its answers left out "
            f"({', '.join(left_out.examples)}); look at the draft, or try another model"
        )
    if not answered:
        raise EndpointError(
            f"--model {quoted(endpoint.model)}: no answer is a JSON object of lists of names; try another model"
        )


def _ask(client: httpx2.Client, endpoint: Endpoint, classes: Mapping[str, str]) -> str:
    listed = "\n".join(f"{json.dumps(name, ensure_ascii=False)} ({place})" for name, place in classes.items())
    request = {
        "model": endpoint.model,
        "messages": [{"role": "user", "content": REQUEST + listed}],
        "temperature": 0,
    }
    url = f"{endpoint.url.rstrip('/')}/chat/completions"
    fault = ""
    for number in range(TRIES):
        if number:
            time.sleep(endpoint.backoff * number)
        try:
            with client.stream("POST", url, json=request) as response:
                if response.status_code == 200:
                    return _content(_read(response, endpoint), endpoint)
                fault = f"HTTP {response.status_code}"
                if response.status_code not in TRY_AGAIN:
                    break
        except httpx2.TimeoutException:
            fault = f"no answer within {endpoint.seconds:g} s"
        except httpx2.HTTPError as error:
            fault = type(error).__name__
    raise EndpointError(
        f"--endpoint {quoted(endpoint.url)}: {fault}; check the URL, --model {quoted(endpoint.model)} and the key"
    )


def _read(response: httpx2.Response, endpoint: Endpoint) -> bytes:
    """An answer's body; a server that sends slowly is cut off, as one that sends too much."""
    found, until = bytearray(), time.monotonic() + endpoint.seconds
    for part in response.iter_bytes():
        found += part
        if len(found) > MOST_BYTES:
            raise EndpointError(
                f"--endpoint {quoted(endpoint.url)}: an answer of more than {MOST_BYTES:,} bytes"
            )
        if time.monotonic() > until:
            raise EndpointError(f"--endpoint {quoted(endpoint.url)}: no answer within {endpoint.seconds:g} s")
    return bytes(found)


def _content(body: bytes, endpoint: Endpoint) -> str:
    try:
        text = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, KeyError, IndexError, TypeError, RecursionError):
        text = None
    if not isinstance(text, str):
        raise EndpointError(
            f"--endpoint {quoted(endpoint.url)}: the answer has no choices[0].message.content; give the base URL of an "
            "OpenAI-compatible server, such as http://localhost:8000/v1"
        )
    return text


def _parse(text: str, batch: Sequence[str], left_out: CountedExamples) -> dict[str, list[str]]:
    """Class → names of a model's answer; what is no name of a class of the batch is counted in `left_out`."""
    try:
        answer: Any = json.loads(text[text.index("{") : text.rindex("}") + 1])
    except (ValueError, RecursionError):
        answer = None
    if not isinstance(answer, dict):
        left_out.add(lambda: quoted(text))
        return {}
    found: dict[str, list[str]] = {}
    for name, others in answer.items():
        if name not in batch or not isinstance(others, list):
            left_out.add(lambda name=name: quoted(name))
            continue
        found[name] = [other.strip() for other in others if is_name(other)][:MOST_NAMES]
        for other in others:
            if not is_name(other):
                left_out.add(lambda other=other: quoted(str(other)))
    return found


def _is_here(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
