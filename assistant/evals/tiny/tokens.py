"""Turns conversations into tokens: a small tokenizer with one token a digit, and a chat template that is short.

The template leaves out the system prompt and the tools' schemas, since the model is trained for these tools alone;
results of earlier questions are only named, and each subject of a result is written once: a prompt of thousands of
tokens becomes one of a few hundred. Words, numbers and ids have the same tokens wherever they
stand, so that copying them is easy. Knows messages; not what they are about.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerFast

PAD, USER, ASSISTANT, TOOL, END = "<|pad|>", "<|user|>", "<|assistant|>", "<|tool|>", "<|end|>"
SPECIAL = (PAD, USER, ASSISTANT, TOOL, END)
CALL, CALLED = "<tool_call>", "</tool_call>"
VOCABULARY = 1536
# What stays together: brackets of calls and references, a fact's field with its equals sign, one word, one digit.
_PIECES = (
    r'\{\{E|\{"name": "|", "arguments": \{|"\}\}|\}\}|"[a-z]+": "?|\.[a-z_]+(?: = |\}\})?|'
    r"[A-Za-z]+(?:_[a-z_]*[a-z])*|\d|\n|."
)
# Fields of results that the model is not asked about.
LEFT_OUT = (  # noqa: SIM905 - a list of words reads better as text
    "index modality method members created source skipped_files drifting runs runs_flagging runs_asked runs_over run "
    "extrapolated regions state peak width height shown new_findings before_score after_score counterfactual_score"
).split()
ASIDES = ("Your answer was compared with", "Your reply could not be used", "No more tools can be called")
TEMPLATE = (
    "{%- set last = namespace(question=0) -%}{%- for m in messages -%}"
    f"{{%- if m.role == 'user' and not m.content.startswith({ASIDES!r}) -%}}{{%- set last.question = loop.index -%}}"
    "{%- endif -%}{%- endfor -%}"
    "{%- macro short(text) -%}{%- set kept = namespace(subject='') -%}"
    "{%- for line in text.split('\n') -%}"
    "{%- set sides = line.split(' = ') -%}{%- set path = sides[0].rsplit('.', 1) -%}"
    "{%- if loop.first or line.startswith('note: ') or sides | length < 2 or path | length < 2 -%}{{ line ~ '\n' }}"
    f"{{%- elif path[1] not in {LEFT_OUT!r} and '..' not in line -%}}"
    "{%- if path[0] != kept.subject -%}{{ path[0] }}{%- set kept.subject = path[0] -%}{%- endif -%}"
    "{{ '.' ~ path[1] ~ ' = ' ~ sides[1:] | join(' = ') ~ '\n' }}"
    "{%- endif -%}{%- endfor -%}{%- endmacro -%}"
    "{%- for m in messages -%}"
    f"{{%- if m.role == 'user' and m.content.startswith({ASIDES!r}) -%}}<|user|>Again.<|end|>"
    "{%- elif m.role == 'user' -%}<|user|>{{ m.content }}<|end|>"
    "{%- elif m.role == 'tool' -%}<|tool|>"
    "{{ short(m.content) if loop.index > last.question else m.content.split('\n')[0] }}<|end|>"
    "{%- elif m.role == 'assistant' -%}<|assistant|>"
    "{%- for c in m.tool_calls or [] -%}{%- set f = c.function or c -%}"
    '<tool_call>{"name": "{{ f.name }}", "arguments": '
    "{{ f.arguments if f.arguments is string else f.arguments | tojson }}}</tool_call>"
    "{%- endfor -%}{{ m.content or '' }}<|end|>"
    "{%- endif -%}{%- endfor -%}"
    "{%- if add_generation_prompt -%}<|assistant|>{%- endif -%}"
)
_WRITTEN = re.compile(r"<\|assistant\|>(.*?<\|end\|>)", re.DOTALL)
RESPONSE = {  # how a server reads calls off the reply
    "defaults": {"role": "assistant"},
    "start_anchor": ASSISTANT,
    "fields": {
        "tool_calls": {
            "open": CALL,
            "close": CALLED,
            "repeats": True,
            "content": "json",
            "transform": {"type": "function", "function": "{content}"},
        },
        "content": {"close": END, "content": "text"},
    },
}


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """A byte-level tokenizer whose merges stay within the pieces above."""
    from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    plain = Tokenizer(models.BPE())
    plain.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_PIECES), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    plain.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - 2,
        special_tokens=list(SPECIAL),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    plain.train_from_iterator(texts, trainer)
    plain.add_tokens([AddedToken(CALL, normalized=False), AddedToken(CALLED, normalized=False)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=plain, eos_token=END, pad_token=PAD, additional_special_tokens=[USER, ASSISTANT, TOOL]
    )
    tokenizer.chat_template = TEMPLATE
    tokenizer.response_template = RESPONSE
    return tokenizer


def text_of(messages: list[dict[str, Any]]) -> str:
    """A conversation as the template writes it, without a tokenizer."""
    from transformers.utils.chat_template_utils import render_jinja_template

    return str(render_jinja_template(conversations=[messages], chat_template=TEMPLATE)[0][0])


def encode(tokenizer: PreTrainedTokenizerFast, messages: list[dict[str, Any]]) -> tuple[list[int], list[bool]]:
    """(token ids, which of them the model is to learn): the calls, and the last answer.

    Earlier answers stand as the reader saw them, which is not how a model is to write them.
    """
    text = text_of(messages)
    spans = [match.span(1) for match in _WRITTEN.finditer(text)]
    spans = [(start, end) for start, end in spans if text.startswith(CALL, start) or end == len(text)]
    read = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
    learnt = [any(start <= at < end for start, end in spans) for at, _ in read["offset_mapping"]]
    return list(read["input_ids"]), learnt
