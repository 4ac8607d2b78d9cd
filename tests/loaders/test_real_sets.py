"""Real sets, from the file to records on disk: every row is a record, or is set aside with its reason."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from slm.plugin import Hardware, Source, Work
from slm_data.dataset import read_splits
from slm_data.records import write_records
from slm_loaders.csv import Csv
from slm_loaders.json import Json
from slm_loaders.jsonl import Jsonl
from slm_loaders.text import Text
from slm_loaders.yaml import Yaml

QUALITY = {"prompt": "question_1", "response": "question_2"}
FAQ = "qa/covid-faq"
SETS: list[tuple[Any, str, str, dict[str, Any], int, int]] = [
    (Csv(), f"{FAQ}/faqs/faq_covidbert.csv", "qa", {}, 213, 0),
    (Csv(), f"{FAQ}/faqs/MT_ar_faq_covidbert.csv", "qa", {}, 213, 0),
    (Csv(), f"{FAQ}/faqs/faq_200327.tsv", "qa", {}, 896, 0),
    (Csv(), f"{FAQ}/eval_question_similarity_en.csv", "qa", QUALITY, 488, 0),
    (Csv(), f"{FAQ}/eval_question_similarity_de.csv", "qa", QUALITY, 624, 0),
    (Csv(), "classification/banking77/train.csv", "classification", {}, 10_003, 0),
    (Csv(), "classification/sms-spam/spam.csv", "classification", {"text": "v2", "label": "v1"}, 5_572, 0),
    (Json(records="train[]"), "classification/clinc150/data_small.json", "classification", {}, 7_500, 0),
    (Json(records="val[]"), "classification/clinc150/data_small.json", "classification", {}, 3_000, 0),
    (Json(records="test[]"), "classification/clinc150/data_small.json", "classification", {}, 4_500, 0),
    (Json(records="oos_train[]"), "classification/clinc150/data_small.json", "classification", {}, 100, 0),
    (Json(records="*[]"), "classification/clinc150/data_small.json", "classification", {}, 16_200, 0),
    (Json(records="train[]"), "classification/clinc150/data_imbalanced.json", "classification", {}, 10_525, 0),
    (Json(), "classification/snips2017/*/*.json", "classification", {}, 14_484, 0),
    (Json(), "classification/snips2017/PlayMusic/train_PlayMusic_full.json", "classification", {}, 2_000, 0),
    *((Json(), f"qa/xquad/xquad.{language}.json", "qa", {}, 1_190, 0) for language in ("en", "es", "zh", "ar")),
    (Json(), "qa/pubmedqa/ori_pqal.json", "qa", {}, 1_000, 0),
    (Json(), "qa/pubmedqa/ori_pqal.json", "classification", {}, 1_000, 0),
    (Jsonl(), "qa/nq-open/NQ-open.dev.jsonl", "qa", {}, 3_610, 0),
    (Yaml(), "qa/chatterbot-corpus/*/*.yml", "qa", {}, 3_329, 10),
    (Csv(), "instruction/awesome-prompts/prompts.csv", "qa", {"prompt": "act", "response": "prompt"}, 587, 0),
    (Json(), "instruction/gpteacher-codegen/codegen-instruct.json", "instruction", {}, 4_535, 0),
    (Jsonl(), "instruction/gsm8k/train.jsonl", "qa", {}, 7_473, 0),
    (Jsonl(), "instruction/dolly-151/dolly.jsonl", "instruction", {}, 151, 0),
    (Jsonl(), "instruction/self-instruct/data/seed_tasks.jsonl", "instruction", {}, 175, 0),
    (Jsonl(), "instruction/self-instruct/human_eval/user_oriented_instructions.jsonl", "instruction", {}, 252, 0),
    (Json(), "instruction/litgpt-fixtures/dolly.json", "instruction", {}, 12, 0),
    (Json(), "instruction/fastchat/dummy_conversation.json", "chat", {}, 500, 0),
    (Json(), "instruction/llamafactory-demo/identity.json", "instruction", {}, 91, 0),
    (Json(), "instruction/llamafactory-demo/glaive_toolcall_en_demo.json", "chat", {}, 300, 0),
    (Jsonl(), "instruction/llamafactory-demo/v1_sft_demo.jsonl", "chat", {}, 500, 0),
    (Jsonl(), "instruction/llamafactory-demo/reason_tool_use_demo_50.jsonl", "chat", {}, 50, 0),
    (Jsonl(), "instruction/oumi-formats/alpaca_format.jsonl", "instruction", {}, 2, 0),
    (Jsonl(), "instruction/oumi-formats/oumi_format.jsonl", "chat", {}, 2, 0),
    (Jsonl(), "instruction/oumi-formats/judge_input.jsonl", "qa", {}, 4, 0),
    (Json(), "preference/llamafactory-dpo/dpo_en_demo.json", "preference", {}, 300, 0),
    (Json(), "preference/torchtune-fixtures/stack_exchange_paired_tiny.json", "preference", {}, 25, 0),
    (Json(), "preference/torchtune-fixtures/hh_rlhf_tiny.json", "preference", {}, 1, 0),
    (Json(), "preference/torchtune-fixtures/chat_tiny.json", "chat", {}, 1, 0),
    (Json(), "preference/torchtune-fixtures/instruct_tiny.json", "instruction", {}, 2, 0),
    (Json(), "raw-text/tinystories-1000/tinystories_1000.json", "completion", {}, 1_000, 0),
    (Jsonl(), "raw-text/llamafactory-pretrain-demo/c4_demo.jsonl", "completion", {}, 300, 0),
    (Text(per="line"), "raw-text/llamafactory-pretrain-demo/wiki_demo.txt", "completion", {}, 30, 0),
    (Text(), "raw-text/tldr-pages/pages", "completion", {}, 400, 0),
    (Json(), "pii/presidio/data/synth_dataset_v2.json", "completion", {"text": "full_text"}, 1_500, 0),
]


@pytest.mark.parametrize(
    ("loader", "name", "task", "columns", "rows", "rejected"), SETS, ids=lambda each: str(each)[-40:]
)
def test_every_row_is_a_record_or_set_aside(
    loader: Any, name: str, task: str, columns: dict[str, Any], rows: int, rejected: int, data: Path, tmp_path: Path
) -> None:
    work = Work(tmp_path, tmp_path, Hardware())
    batches = loader.load(Source(name, data), work)
    loaded = write_records(batches, task=task, columns=columns, split="train", folder=tmp_path, address=name)
    assert (loaded.rows, loaded.rejected) == (rows, rejected)
    records = read_splits(tmp_path)["train"]
    assert len(records) == rows
    assert len(set(records["source"])) == rows


def test_snips_has_the_texts_of_its_pieces_and_labels_of_its_files(data: Path, read: Callable[..., Any]) -> None:
    name = "classification/snips2017/PlayMusic/train_PlayMusic_full.json"
    found = read(Json(), name, data)
    assert {row["intent"] for row in found.rows} == {"PlayMusic"}
    text = (data / name).read_bytes().decode("utf-8", "surrogateescape")
    sound = json.loads(text)["PlayMusic"]
    assert [len(row["text"]) for row in found.rows] == [sum(len(p["text"]) for p in query["data"]) for query in sound]
    assert not any("\ufffd" in row["text"] for row in found.rows)
    assert any("not UTF-8" in warning for warning in found.warnings)


def test_xquad_answers_stand_in_their_contexts(data: Path, read: Callable[..., Any]) -> None:
    rows = read(Json(), "qa/xquad/xquad.en.json", data).rows
    assert all(row["answer"] in row["context"] for row in rows)


def test_chatterbots_conversations_are_all_there(data: Path, read: Callable[..., Any]) -> None:
    found = read(Yaml(), "qa/chatterbot-corpus/*/*.yml", data)
    files = sorted((data / "qa/chatterbot-corpus").glob("*/*.yml"))
    written = [row for file in files for row in yaml.safe_load(file.read_bytes())["conversations"]]
    assert len(found.rows) + len(found.rejected) == len(written) == 3_339
    turns = [[turn["content"] for turn in row["messages"]] for row in found.rows]
    assert turns == [row for row in written if isinstance(row, list)]
