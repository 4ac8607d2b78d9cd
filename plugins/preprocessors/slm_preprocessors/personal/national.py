"""Numbers that states give to persons: a form, and the checksum of python-stdnum, which names the rules of each."""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import lru_cache
from importlib import import_module
from typing import Any

from attrs import frozen

from .patterns import CHECKED, FORM, Found


@frozen
class Number:
    """A country's number: its form, the stdnum module that checks it, and the words that must stand near it where form
    and checksum alone would take other numbers for it."""

    form: re.Pattern[str]
    module: str
    words: re.Pattern[str] | None = None


def _number(form: str, module: str, words: str = "") -> Number:
    said = re.compile(rf"(?<![^\W_])(?:{words})(?![^\W_])", re.IGNORECASE) if words else None
    return Number(re.compile(rf"(?<![\w.,/-])(?:{form})(?![\w]|[.,/-]\d)"), module, said)


NUMBERS = (
    _number(r"\d{3}-\d{2}-\d{4}", "us.ssn"),
    _number(r"\d{3} \d{2} \d{4}|\d{9}", "us.ssn", r"ssn|social security(?: number)?"),
    _number(r"9\d{2}-\d{2}-\d{4}", "us.itin", "itin|taxpayer|tax"),
    _number(r"[A-CEGHJ-PR-TW-Z][A-CEGHJ-NPR-TW-Z] ?\d{2} ?\d{2} ?\d{2} ?[A-D]", ""),  # GB NINO: no checksum
    _number(r"\d{3}[ -]?\d{3}[ -]?\d{4}", "gb.nhs", r"nhs(?: number)?"),
    _number(r"\d{8}-?[A-Z]", "es.dni"),
    _number(r"[XYZ]-?\d{7}-?[A-Z]", "es.nie"),
    _number(r"[A-Z]{6}\d[\dLMNP-V][A-Z][\dLMNP-V]{2}[A-Z][\dLMNP-V]{3}[A-Z]", "it.codicefiscale"),
    _number(r"[12378] ?\d{2} ?\d{2} ?(?:\d{2}|2[AB]) ?\d{3} ?\d{3} ?\d{2}", "fr.nir"),
    _number(r"\d{2} ?\d{3} ?\d{3} ?\d{3}", "de.idnr", r"idnr|steuer-?(?:id|nummer|identifikationsnummer)|tax id"),
    _number(r"\d{4}\.?\d{2}\.?\d{3}", "nl.bsn", r"bsn|burgerservicenummer|sofi(?:nummer)?"),
    _number(r"\d{2}\.\d{2}\.\d{2}-\d{3}\.\d{2}", "be.nn"),
    _number(r"756\.\d{4}\.\d{4}\.\d{2}", "ch.ssn"),
    _number(r"(?:19|20)?\d{6}[-+]\d{4}", "se.personnummer"),
    _number(r"\d{6}[-+A-FYXWVU]\d{3}[0-9A-FHJ-NPR-Y]", "fi.hetu"),
    _number(r"\d{6} ?\d{5}", "no.fodselsnummer", r"fødselsnummer|fodselsnummer|personnummer|national id(?:entity)?"),
    _number(r"\d{6}-?\d{4}", "dk.cpr", r"cpr(?:-?(?:nummer|nr))?"),
    _number(r"\d{11}", "pl.pesel", "pesel"),
    _number(r"\d{6}/\d{3,4}", "cz.rc"),
    _number(r"\d{13}", "ro.cnp", "cnp|cod numeric"),
    _number(r"\d{7}[A-W][ABHWTX]?", "ie.pps"),
    _number(r"\d{11}", "tr.tckimlik", r"tckn|t\.?c\.? ?kimlik|kimlik"),
    _number(r"\d{9}", "pt.nif", "nif|contribuinte"),
    _number(r"\d{3}\.\d{3}\.\d{3}-\d{2}", "br.cpf"),
    _number(r"\d{11}", "br.cpf", "cpf"),
    _number(r"\d{3}[ -]\d{3}[ -]\d{3}|\d{9}", "ca.sin", "sin|social insurance(?: number)?"),
    _number(r"\d{3} ?\d{3} ?\d{2,3}", "au.tfn", "tfn|tax file(?: number)?"),
    _number(r"[2-9]\d{3}([ -])\d{4}\1\d{4}", "in_.aadhaar"),
    _number(r"[2-9]\d{11}", "in_.aadhaar", "aadhaar|aadhar|uid(?:ai)?"),
    _number(r"[A-Z]{5}\d{4}[A-Z]", "in_.pan", "pan|permanent account|income tax"),
    _number(r"\d{17}[\dX]", "cn.ric"),
    _number(r"\d{6}-\d{7}", "kr.rrn"),
    _number(r"\d{13}", "za.idnr", r"id|identity|sa id"),
    _number(r"[A-Z][AEIOUX][A-Z]{2}\d{6}[HMX][A-Z]{5}[\dA-Z]\d", "mx.curp"),
)
WINDOW = 40
LONG = re.compile(r"\d(?:[ .-]?\d){5}|[A-Z]{5}\d")
ANY = re.compile(
    r"(?<![\w.,/-])(?=[\dA-Z])(?:" + "|".join(each.form.pattern for each in NUMBERS).replace(r"(?<![\w.,/-])", "") + ")"
)


def national_ids(text: str) -> Iterator[Found]:
    """National identity, tax and insurance numbers that a checksum, a form of their own or a word beside gives away."""
    if not (LONG.search(text) and ANY.search(text)):
        return
    for number in NUMBERS:
        for match in number.form.finditer(text):
            said = number.words is None or number.words.search(text, max(0, match.start() - WINDOW), match.start())
            if said and _valid(number.module, match[0]):
                yield Found(match.start(), match.end(), "national_id", CHECKED if number.module else FORM)


def _valid(module: str, text: str) -> bool:
    return not module or bool(_module(module).is_valid(text))


@lru_cache
def _module(name: str) -> Any:
    return import_module(f"stdnum.{name}")
