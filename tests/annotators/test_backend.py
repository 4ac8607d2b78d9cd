"""The ML backend behind the real `slm serve`, asked by the real Label Studio server and over plain HTTP."""

import base64
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
from attrs import frozen

from slm.plugin import Engine, Hardware, Interface, Model, SlmError
from slm_annotation.guessing import version_of
from slm_annotators.backing.guessing import open_models
from slm_engines.transformers import Transformers
from slm_models.template import PLAIN, read_interface, write_interface

WORDS = {"lights": "lamp bulb dim bright", "music": "song album band tune", "weather": "rain snow wind cold"}
PIPELINE = """
name = "sorter"
task = "classification"
[[load]]
from = "rows.csv"
[recipe]
vocabulary = 300
layers = 1
hidden = 32
heads = 2
epochs = 6
learning_rate = 0.01
"""
CLASSES = (
    '<View><Text name="text" value="$text"/><Choices name="label" toName="text" choice="single-radio">'
    + "".join(f'<Choice value="{label}"/>' for label in WORDS)
    + "</Choices></View>"
)
STRANGE = CLASSES.replace("lights", "cats").replace("music", "dogs").replace("weather", "birds")
QA = (
    '<View><Text name="ctx" value="$question"/>'
    '<TextArea name="question_edit" toName="ctx" value="$question" maxSubmissions="1" editable="true"/>'
    '<TextArea name="answer_edit" toName="ctx" value="$answer" maxSubmissions="1" editable="true"/>'
    '<Choices name="verdict" toName="ctx" choice="single-radio"><Choice value="good"/><Choice value="fixed"/>'
    '<Choice value="bad"/></Choices></View>'
)
JSON = {"Content-Type": "application/json"}


@frozen
class Running:
    """A served model: its address, and the files that its output goes to."""

    url: str
    out: Path
    err: Path
    process: subprocess.Popen[bytes]

    @property
    def backend(self) -> str:
        return f"{self.url}/label-studio"

    def get(self, path: str, **how: Any) -> httpx.Response:
        return httpx.get(f"{self.backend}{path}", timeout=60, **how)

    def post(self, path: str, told: Any, **how: Any) -> httpx.Response:
        return httpx.post(f"{self.backend}{path}", json=told, timeout=60, **how)

    def said(self) -> str:
        return self.out.read_text() + self.err.read_text()


@contextmanager
def serving(what: Path, *arguments: str) -> Iterator[Running]:
    """`slm serve` on a free port, ended as the system ends things."""
    name = f"{what.stem}{''.join(arguments)}"
    out, err = what.parent / f"{name}.out", what.parent / f"{name}.err"
    command = [sys.executable, "-m", "slm_doors.cli", "serve", str(what), "--port", "0", *arguments]
    with out.open("wb") as o, err.open("wb") as e:
        process = subprocess.Popen(command, stdout=o, stderr=e, cwd=what.parent, env={**os.environ, "SLM_KEY": ""})
    try:
        assert eventually(lambda: b"Ctrl-C ends" in out.read_bytes() or process.poll() is not None)
        found = re.search(r"at (http://\S+)", out.read_text())
        assert found, err.read_text()
        yield Running(found[1], out, err, process)
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=60)


def eventually(true: Callable[[], bool]) -> bool:
    """Wait until something is true; how long is the machine's affair."""
    end = time.monotonic() + 120
    while not true() and time.monotonic() < end:
        time.sleep(0.05)
    return true()


def rows(count: int) -> str:
    lines = []
    for n in range(count):
        label = list(WORDS)[n % 3]
        words = WORDS[label].split()
        lines.append(f"please {words[n % 4]} and {words[(n // 3) % 4]} {n},{label}")
    return "text,label\n" + "\n".join(lines) + "\n"


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The pipeline file of a small classifier that has been run."""
    folder = tmp_path_factory.mktemp("sorter")
    (folder / "rows.csv").write_text(rows(150))
    (folder / "pipeline.toml").write_text(PIPELINE)
    command = [sys.executable, "-m", "slm_doors.cli", "run", "pipeline.toml"]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return folder / "pipeline.toml"


@pytest.fixture(scope="session")
def sorter(trained: Path) -> Iterator[Running]:
    with serving(trained) as found:
        yield found


@pytest.fixture(scope="session")
def writer_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small qa model with weights drawn at random."""
    return decoder(tmp_path_factory.mktemp("models") / "writer")


@pytest.fixture(scope="session")
def writer(writer_folder: Path) -> Iterator[Running]:
    with serving(writer_folder) as found:
        yield found


def decoder(folder: Path, seed: int = 3) -> Path:
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator(["the cat and the dog and the rain"], trainer)
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(), hidden_size=64, intermediate_size=128, num_hidden_layers=2,
        num_attention_heads=4, max_position_embeddings=256, bos_token_id=0, eos_token_id=1, pad_token_id=1,
        initializer_range=0.3,
    )  # fmt: skip
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "artifact.json").write_text('{"format": "transformers"}')
    write_interface(Interface("qa", 256, PLAIN, "<s>", "</s>", (0,), (1,), 1), folder)
    return folder


def tasks(*texts: str) -> list[dict[str, Any]]:
    return [{"id": n, "data": {"text": text}} for n, text in enumerate(texts, start=1)]


def asked(config: str, tasks: Any) -> dict[str, Any]:
    return {"tasks": tasks, "project": "1.2", "label_config": config, "params": {"login": None, "context": None}}


@pytest.fixture
def project(studio: Any) -> Iterator[Callable[..., tuple[Any, int]]]:
    """Makes a project of the label config with tasks of these data; gives a client and its number."""
    from label_studio_sdk import LabelStudio

    http = httpx.Client(timeout=120)
    client = LabelStudio(base_url=studio.url, api_key=studio.key, httpx_client=http)

    def make(config: str, data: list[dict[str, Any]]) -> tuple[Any, int]:
        made = client.projects.create(title=f"backend {time.monotonic_ns()}", label_config=config)
        client.projects.import_tasks(made.id, request=data)
        return client, made.id

    yield make
    http.close()


def predictions(client: Any, project: int) -> list[dict[str, Any]]:
    return [each.model_dump(mode="json") for each in client.predictions.list(project=project)]


def test_an_opened_task_has_a_prediction_with_score_and_version(project: Any, sorter: Running) -> None:
    client, number = project(CLASSES, [{"text": "please rain and snow"}])
    backend = client.ml.create(project=number, url=sorter.backend, title="slm")
    assert backend.state == "CO"
    version = sorter.get("/versions").json()["versions"][0]
    assert backend.model_version == version
    assert re.fullmatch(r"sorter@[0-9a-f]{8}", version)
    (task,) = client.tasks.list(project=number)
    client.tasks.get(id=task.id)
    (found,) = predictions(client, number)
    assert found["model_version"] == version
    assert 0 < found["score"] <= 1
    (result,) = found["result"]
    assert (result["from_name"], result["to_name"], result["type"]) == ("label", "text", "choices")
    assert result["value"]["choices"][0] in WORDS


def test_fifty_tasks_are_predicted_in_one_request(project: Any, sorter: Running, studio: Any) -> None:
    client, number = project(CLASSES, [{"text": f"please song {n}"} for n in range(50)])
    client.ml.create(project=number, url=sorter.backend, title="slm")
    done = httpx.post(
        f"{studio.url}/api/dm/actions?id=retrieve_tasks_predictions&project={number}",
        json={"selectedItems": {"all": True, "excluded": []}},
        headers={"Authorization": f"Token {studio.key}"},
        timeout=120,
    )
    assert done.status_code == 200
    found = predictions(client, number)
    assert len(found) == 50
    assert len({each["task"] for each in found}) == 50
    assert {each["model_version"] for each in found} == set(sorter.get("/versions").json()["versions"])


def test_labels_that_the_model_does_not_know_are_told_in_one_line(project: Any, sorter: Running) -> None:
    from label_studio_sdk.core.api_error import ApiError

    client, number = project(STRANGE, [{"text": "a"}])
    with pytest.raises(ApiError, match="incompatible with the current labeling configuration"):
        client.ml.create(project=number, url=sorter.backend, title="slm")
    for path, told in (("/setup", {"schema": STRANGE}), ("/predict", asked(STRANGE, tasks("a")))):
        found = sorter.post(path, told)
        line = found.json()["error"]
        assert found.status_code == 422
        assert "knows the labels lights, music, weather, and the project asks for cats, dogs, birds" in line
        assert "\n" not in line
        assert line in sorter.said()


def test_start_training_runs_the_pipeline_and_only_once_at_a_time(project: Any, sorter: Running, trained: Path) -> None:
    (trained.parent / "rows.csv").write_text(rows(120))
    client, number = project(CLASSES, [{"text": "a"}])
    backend = client.ml.create(project=number, url=sorter.backend, title="slm")
    log = trained.parent / "runs" / "sorter.training.log"
    client.ml.train(backend.id)
    assert client.ml.list(project=number)[0].state in ("TR", "CO")
    second = sorter.post("/webhook", {"action": "START_TRAINING", "project": {"id": number}})
    assert (second.status_code, second.json()["training"]) == (201, f"a training is running already; its log: {log}")
    assert eventually(lambda: "training ended" in sorter.err.read_text()), sorter.said() + log.read_text()
    assert "Model, exports, metrics and log" in log.read_text()
    assert str(log) in sorter.get("/health").json()["training"]


def test_events_are_counted_and_nothing_else_of_them_is_kept(project: Any, sorter: Running) -> None:
    client, number = project(CLASSES, [{"text": "a"}])
    client.ml.create(project=number, url=sorter.backend, title="slm")
    (task,) = client.tasks.list(project=number)
    before = sorter.get("/health").json()["events"]
    result = [{"from_name": "label", "to_name": "text", "type": "choices", "value": {"choices": ["music"]}}]
    client.annotations.create(id=task.id, result=result)
    assert eventually(lambda: sorter.get("/health").json()["events"] > before)


def test_the_token_that_setup_hands_over_is_in_no_reply_and_no_log(sorter: Running, studio: Any) -> None:
    token = "0123456789abcdef0123456789abcdef01234567"
    told = {"project": "1.2", "schema": CLASSES, "hostname": "http://h", "access_token": token, "extra_params": None}
    replies = [
        sorter.post("/setup", told),
        sorter.post("/setup", {**told, "schema": STRANGE}),
        sorter.post("/setup", {**told, "schema": f'<View toName="{token}"'}),
        sorter.post("/webhook", {"action": "PROJECT_UPDATED", "project": {"token": token}}),
        sorter.post("/webhook", {"action": {"token": token}}),
        httpx.post(f"{sorter.backend}/setup", content=json.dumps(told)[:-1], headers=JSON),
        sorter.get("/health"),
    ]
    assert [each.status_code for each in replies] == [200, 422, 422, 201, 422, 400, 200]
    assert not any(token in each.text for each in replies)
    assert token not in sorter.said()
    assert studio.key not in sorter.said()


def test_a_project_that_asks_nothing_yet_is_connected_and_told_later(sorter: Running) -> None:
    assert sorter.post("/setup", {"schema": "<View></View>"}).status_code == 200
    assert sorter.post("/setup", {"project": "1.2"}).status_code == 200
    assert sorter.post("/predict", asked("<View></View>", tasks("a"))).status_code == 422


def test_a_text_model_answers_a_qa_project(project: Any, writer: Running) -> None:
    client, number = project(QA, [{"question": "What is the answer?", "answer": ""}])
    client.ml.create(project=number, url=writer.backend, title="slm")
    (task,) = client.tasks.list(project=number)
    client.tasks.get(id=task.id)
    (found,) = predictions(client, number)
    texts = {each["from_name"]: each["value"].get("text") for each in found["result"]}
    assert texts["answer_edit"][0]
    assert 0 <= found["score"] <= 1
    refused = writer.post("/webhook", {"action": "START_TRAINING"})
    assert refused.status_code == 409
    assert "no pipeline to train with" in refused.json()["error"]


def test_a_task_that_cannot_be_guessed_does_not_spoil_the_others(sorter: Running) -> None:
    sent = [*tasks("please song", "please \ud83d rain", "", "x" * 20_000, "please 🌧 rain\r\n"), {"id": 6}]
    sent += [{"id": 7, "data": {"other": "a"}}, {"id": 8, "data": {"text": None}}, {"id": 9, "data": {"text": 5}}]
    sent += [{"id": 10, "data": "text"}, {"data": {"text": "please song"}}]
    body = json.dumps(asked(CLASSES, sent))
    found = httpx.post(f"{sorter.backend}/predict", content=body, headers=JSON, timeout=60)
    assert found.status_code == 200
    results = found.json()["results"]
    assert len(results) == len(sent)
    full = [n for n, each in enumerate(results, start=1) if each["result"]]
    assert full in ([1, 2, 4, 5, 9, 11], [1, 4, 5, 9, 11])
    assert results[0] == results[10]
    assert sorter.post("/predict", asked(CLASSES, [])).json() == {"results": []}


@pytest.mark.parametrize("path", ["/setup", "/predict", "/webhook"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff\xfe", b"[" * 100_000, b"[1]", b'"text"', b"null"])
def test_what_is_no_json_object_is_refused(path: str, body: bytes, sorter: Running) -> None:
    found = httpx.post(f"{sorter.backend}{path}", content=body, headers=JSON)
    assert found.status_code == 400
    assert found.json()["error"].startswith("the body ")


@pytest.mark.parametrize(
    ("path", "told", "said"),
    [
        ("/predict", {}, "tasks: expected a list"),
        ("/predict", {"tasks": {"id": 1}}, "tasks: expected a list"),
        ("/predict", {"tasks": [1]}, "tasks: expected a list"),
        ("/predict", {"tasks": []}, "label_config: expected"),
        ("/predict", {"tasks": [], "label_config": 5}, "label_config: expected"),
        ("/predict", asked("<View", []), "can't answer this project"),
        ("/predict", asked(QA, []), "can't answer this project"),
        ("/predict", asked(f"{CLASSES}{' ' * (1 << 20)}", []), "longer than"),
        ("/webhook", {}, "action: expected"),
        ("/webhook", {"action": 5}, "action: expected"),
    ],
)
def test_each_mistake_is_named(path: str, told: dict[str, Any], said: str, sorter: Running) -> None:
    found = sorter.post(path, told)
    assert found.status_code == 422
    assert said in found.json()["error"]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/predict", 405),
        ("GET", "/setup", 405),
        ("GET", "/webhook", 405),
        ("POST", "/health", 405),
        ("OPTIONS", "/predict", 405),
        ("DELETE", "/webhook", 405),
        ("GET", "/nothing", 404),
        ("POST", "/train", 404),
        ("GET", "/health/more", 404),
        ("HEAD", "/health", 200),
        ("GET", "", 200),
        ("GET", "/", 200),
        ("GET", "/health/", 200),
    ],
)
def test_addresses_take_their_methods(method: str, path: str, status: int, sorter: Running) -> None:
    found = httpx.request(method, f"{sorter.backend}{path}")
    assert (found.status_code, found.headers["content-type"]) == (status, "application/json")


def test_what_a_web_form_could_send_is_refused(sorter: Running) -> None:
    body = json.dumps({"action": "START_TRAINING"})
    for kind in ("text/plain", "application/x-www-form-urlencoded", ""):
        assert httpx.post(f"{sorter.backend}/webhook", content=body, headers={"Content-Type": kind}).status_code == 415
    assert sorter.get("/health", headers={"Host": "evil.example"}).status_code == 403
    assert sorter.get("/health", headers={"Host": "localhost:9"}).status_code == 200


def test_a_request_of_ten_megabytes_is_answered_and_one_over_the_bound_is_not(sorter: Running) -> None:
    sent = [{"id": n, "data": {"text": "please song", "note": "x" * 5000}} for n in range(2000)]
    found = httpx.post(f"{sorter.backend}/predict", json=asked(CLASSES, sent), timeout=300)
    assert len(found.json()["results"]) == 2000
    too_much = b" " * (65 << 20)
    assert httpx.post(f"{sorter.backend}/predict", content=too_much, headers=JSON, timeout=60).status_code == 413


def test_a_client_that_leaves_costs_nothing_more(sorter: Running) -> None:
    body = json.dumps(asked(CLASSES, tasks(*["please song"] * 50_000))).encode()
    host, port = sorter.url.removeprefix("http://").split(":")
    for sent in (len(body), len(body) // 2):
        with socket.create_connection((host, int(port))) as client:
            head = f"POST /label-studio/predict HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
            client.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body[:sent])
    assert sorter.get("/health").json()["status"] == "UP"
    assert sorter.post("/predict", asked(CLASSES, tasks("please song"))).status_code == 200
    assert "Traceback" not in sorter.said()


def test_only_the_key_opens_and_label_studio_sends_it_as_a_password(project: Any, trained: Path) -> None:
    from label_studio_sdk.core.api_error import ApiError

    def basic(secret: str) -> dict[str, str]:
        return {"Authorization": "Basic " + base64.b64encode(f"slm:{secret}".encode()).decode()}

    with serving(trained, "--key", "sésame:1") as found:
        right = [{"Authorization": "Bearer sésame:1".encode()}, basic("sésame:1")]
        wrong = [{}, basic("sésame"), basic(""), {"Authorization": "Basic !"}, {"Authorization": "Token s"}]
        assert [found.get("/health", headers=each).status_code for each in right] == [200, 200]
        assert [found.get("/health", headers=each).status_code for each in wrong] == [401] * 5
        assert found.post("/webhook", {"action": "START_TRAINING"}).status_code == 401
        assert found.post("/webhook", {"action": "TASKS_CREATED"}, headers=right[0]).status_code == 201
        client, number = project(CLASSES, [{"text": "please rain"}])
        with pytest.raises(ApiError, match="authentication parameters were either not provided or are incorrect"):
            client.ml.create(project=number, url=found.backend, title="slm")
        client.ml.create(
            project=number, url=found.backend, title="slm", auth_method="BASIC_AUTH", basic_auth_user="slm",
            basic_auth_pass="sésame:1",
        )  # fmt: skip
        (task,) = client.tasks.list(project=number)
        client.tasks.get(id=task.id)
        assert len(predictions(client, number)) == 1
        assert "sésame" not in found.said()


def opened(folder: Path) -> Engine:
    return Transformers().engine(Model(folder, "transformers", read_interface(folder)), Hardware(cores=2))


def test_the_version_stays_while_the_model_does(trained: Path, writer_folder: Path) -> None:
    (run,) = (trained.parent / "runs").glob("sorter-*")
    for folder in (writer_folder, run / "model"):
        engine, again = opened(folder), opened(folder)
        assert version_of("a", engine) == version_of("a", again)
        assert version_of("b", engine) == version_of("a", engine).replace("a@", "b@")
        engine.close()
        again.close()


def test_a_model_trained_anew_has_another_version(tmp_path: Path, writer_folder: Path) -> None:
    engines = [opened(writer_folder), opened(decoder(tmp_path / "writer", seed=4))]
    assert len({version_of("a", engine) for engine in engines}) == 2
    for engine in engines:
        engine.close()


def test_of_several_models_the_one_that_fits_the_project_answers(trained: Path, writer_folder: Path) -> None:
    (run,) = (trained.parent / "runs").glob("sorter-*")
    engines = {"writer": opened(writer_folder), "sorter": opened(run / "model")}
    models = open_models(engines, 32)
    assert models.version(CLASSES).startswith("sorter@")
    assert models.version(QA).startswith("writer@")
    assert models.version("").startswith("writer@")
    several = CLASSES.replace("single-radio", "multiple")
    (found,) = models.predict(tasks("please song"), several, Event())
    assert found["model_version"].startswith("sorter@")
    assert found["result"][0]["value"]["choices"]
    with pytest.raises(SlmError, match=r"writer@\w+ \(qa\) can't answer this project"):
        models.version(STRANGE)
    gone = Event()
    gone.set()
    assert models.predict(tasks("please song"), CLASSES, gone) == []
    for engine in engines.values():
        engine.close()


def test_a_server_that_is_stopped_stops_its_training(trained: Path) -> None:
    (trained.parent / "rows.csv").write_text(rows(600))
    with serving(trained, "--engine", "transformers") as found:
        log = trained.parent / "runs" / "sorter.training.log"
        found.post("/webhook", {"action": "START_TRAINING"})
        assert eventually(lambda: "started" in log.read_text().rpartition("---")[2].split("\n", 1)[1])
    assert "training stopped; started again, it goes on from there" in found.err.read_text()
