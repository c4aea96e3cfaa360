"""Folders of Transformers, as its pipelines answer where they were saved."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cloudpickle
import pytest

os.environ["HF_HUB_OFFLINE"] = "1"  # read at import

import torch
import transformers
from clipper_container import LoadError
from tokenizers import Tokenizer, models, pre_tokenizers

from tests.integration.frameworks.conftest import Load, Refuse, Serve

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "good", "bad", "film", "luck"]
TEXTS = ["good film", "bad luck", "good", "bad film luck", "luck"]
SMALL = {"vocab_size": len(WORDS), "num_hidden_layers": 1, "intermediate_size": 16}
Save = Callable[..., Path]


@pytest.fixture
def tokenizer() -> Any:
    vocabulary = models.WordLevel({word: i for i, word in enumerate(WORDS)}, unk_token="[UNK]")
    words = Tokenizer(vocabulary)
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    special = {"unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return transformers.PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", mask_token="[MASK]", **special
    )


@pytest.fixture
def bert(tokenizer: Any, tmp_path: Path) -> Save:
    """Save a small BERT of the class that is named; one that classifies has learned a little."""

    def save(name: str) -> Path:
        torch.manual_seed(1)
        config = transformers.BertConfig(
            **SMALL, hidden_size=16, num_attention_heads=2, id2label={0: "down", 1: "up"}
        )
        model = getattr(transformers, name)(config)
        if name == "BertForSequenceClassification":
            batch = tokenizer(TEXTS[:2], return_tensors="pt")
            optimizer = torch.optim.Adam(model.parameters(), 0.01)
            for _ in range(20):
                loss = model(**batch, labels=torch.tensor([1, 0])).loss
                optimizer.zero_grad()
                loss.backward()
                optimizer.step()
        model.save_pretrained(tmp_path)
        tokenizer.save_pretrained(tmp_path)
        return tmp_path

    return save


async def test_texts_are_classified_as_the_pipeline_does(serve: Serve, bert: Save) -> None:
    folder = bert("BertForSequenceClassification")
    served = await serve("transformers", folder)
    answers = await served.predict(TEXTS, "strings")
    pipeline = transformers.pipeline("text-classification", model=str(folder))
    for answer, expected in zip(answers, pipeline(TEXTS), strict=True):
        assert answer["label"] == expected["label"]
        assert answer["score"] == pytest.approx(expected["score"], rel=1e-4)
    assert [answer["label"] for answer in answers[:2]] == ["up", "down"]
    said = served.description
    version = f"Transformers {transformers.__version__}"
    assert said.model == f"{version}, BertForSequenceClassification for text-classification"
    assert (said.input_type, said.output_form) == (4, "{label, score}")


@pytest.mark.parametrize("count", [1, 3])
def test_masks_are_filled_for_each_text(load: Load, bert: Save, count: int) -> None:
    model = load("transformers", bert("BertForMaskedLM"))
    answers = model.predict_batch(["good [MASK]", "[MASK] luck", "[MASK]"][:count])
    assert [len(each) for each in answers] == [5] * count
    assert answers[0][0]["sequence"].startswith("good")


def test_another_task_is_there_for_the_asking(load: Load, bert: Save) -> None:
    folder = bert("BertModel")
    vectors = load("transformers", folder).predict_batch(["good film", "luck"])
    assert [len(each[0][0]) for each in vectors] == [16, 16]
    with pytest.raises(LoadError, match="cannot be read as a model for no-such-task: KeyError"):
        load("transformers", folder, output="no-such-task")


def test_a_model_that_cannot_pad_generates_text_by_text(
    load: Load, tokenizer: Any, tmp_path: Path
) -> None:
    config = transformers.GPT2Config(
        vocab_size=len(WORDS), n_embd=16, n_layer=1, n_head=2, bos_token_id=2, eos_token_id=3
    )
    transformers.GPT2LMHeadModel(config).save_pretrained(tmp_path)
    tokenizer.pad_token = None
    tokenizer.save_pretrained(tmp_path)
    answers = load("transformers", tmp_path).predict_batch(["good film", "bad"])
    for answer, text in zip(answers, ("good film", "bad"), strict=True):
        assert answer[0]["generated_text"].startswith(text)


def test_a_folder_without_weights_or_words_is_refused(load: Load, bert: Save) -> None:
    folder = bert("BertForSequenceClassification")
    (folder / "model.safetensors").write_bytes(b"no weights")
    with pytest.raises(LoadError, match="cannot be read as a model for text-classification: Safe"):
        load("transformers", folder)
    (folder / "model.safetensors").unlink()
    with pytest.raises(LoadError, match="cannot be read as a model for text-classification: OSE"):
        load("transformers", folder)


@pytest.mark.parametrize("name", ["BertModel", "BertForPreTraining"])
def test_a_function_is_called_with_the_pipeline_or_else_with_the_network(
    load: Load, bert: Save, name: str
) -> None:
    folder = bert(name)
    function = cloudpickle.dumps(lambda model, inputs: [type(model).__name__ for _ in inputs])
    (folder / "func.cloudpickle").write_bytes(function)
    is_known = name == "BertModel"
    answers = load("transformers", folder).predict_batch(["a"])
    assert answers == ["FeatureExtractionPipeline" if is_known else name]
    for file in folder.glob("tokenizer*"):
        file.unlink()
    assert load("transformers", folder).predict_batch(["a"]) == [name]


def test_what_is_no_model_of_texts_is_refused(load: Load, tmp_path: Path) -> None:
    with pytest.raises(LoadError, match=r"has no config\.json; save model and tokenizer there"):
        load("transformers", tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": []}')
    with pytest.raises(LoadError, match=r"config\.json cannot be read as a configuration"):
        load("transformers", tmp_path)
    (tmp_path / "config.json").write_text('{"architectures": ["VitForImageSegmentation"]}')
    with pytest.raises(LoadError, match=r"VitForImageSegmentation, which is none of .*ForM"):
        load("transformers", tmp_path)


def test_a_task_for_which_the_model_has_no_head_is_refused(load: Load, bert: Save) -> None:
    folder = bert("BertForSequenceClassification")
    with pytest.raises(LoadError, match="which is for text-classification, not for fill-mask"):
        load("transformers", folder, output="fill-mask")


async def test_a_pipeline_that_answers_no_text_is_refused_in_one_line(
    refuse: Refuse, bert: Save
) -> None:
    told = await refuse("transformers", bert("BertModel"), output="ner")
    assert "BertModel for ner, does not answer texts: " in told


def test_a_folder_without_a_tokenizer_is_refused(load: Load, bert: Save) -> None:
    folder = bert("BertForSequenceClassification")
    for file in folder.glob("tokenizer*"):
        file.unlink()
    with pytest.raises(LoadError, match=r"has no tokenizer \(.*\); save it there with tokenizer"):
        load("transformers", folder)
