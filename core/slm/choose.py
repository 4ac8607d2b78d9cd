"""Choosing: config narrows, hardware decides, and every choice has its reason."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

import attrs
from attrs import frozen

from slm.config import Mistake, attempt, unknown
from slm.errors import SlmError
from slm.pipeline import SECRET, LoadKeys, Stage, expand
from slm.plugin import Bid, Hardware, Job, Plugin, Rank, Source
from slm.registry import Offer, Registry

ASIDE = "write ${env:NAME} in its place, and set NAME"


@frozen
class Choice:
    """The plugin that will do a stage, why, and why not the others."""

    path: str
    offer: Offer
    plugin: Plugin
    options: Mapping[str, Any]
    bid: Bid
    why: str
    others: tuple[tuple[str, str], ...] = ()

    @property
    def name(self) -> str:
        return self.offer.name


@frozen
class Chooser:
    """Chooses plugins for one job on one machine; what the user must mend is collected in `found`."""

    registry: Registry
    job: Job
    hardware: Hardware
    found: list[Mistake] = attrs.Factory(list)

    def stage(self, stage: Stage, source: Source | None = None) -> Choice | None:
        """The choice for one table of the pipeline; None with a mistake noted where there is none."""
        try:
            if stage.keys.use is not None:
                return self.named(stage.hook, stage.keys.use, stage.options, stage.path)
            if source is not None:
                return self.claimed(stage, source)
            return self.best(stage.hook, stage.options, stage.path)
        except SlmError as error:
            self.found.append(Mistake(f"{stage.path}.use" if stage.keys.use else stage.path, str(error)))
            return None

    def named(self, hook: str, name: str, options: Mapping[str, Any], path: str, why: str = "") -> Choice | None:
        """The plugin that the user named; one that cannot do the job says why not."""
        offer = self.registry.offer(hook, name)
        if offer.name != name:  # it claims such names, and takes this one as an option
            options = {"use": name, **options}
        plugin = self.build(offer, options, path)
        if plugin is None:
            return None
        bid = plugin.bid(self.job, self.hardware)
        if bid.rank is Rank.NO:
            raise SlmError(f"{name!r} can't do this: {bid.why}")
        return Choice(path, offer, plugin, options, bid, why or "named in the pipeline")

    def claimed(self, stage: Stage, source: Source) -> Choice | None:
        """The loader whose claim fits the address most narrowly."""
        claims = {name: longest_claim(offer, source) for name, offer in self.registry.offers(stage.hook).items()}
        top = max(map(len, claims.values()), default=0)
        winners = [name for name, claim in claims.items() if len(claim) == top]
        assert isinstance(stage.keys, LoadKeys)
        if not top:
            raise SlmError(f"no loader claims {source.shown!r}; name one with use ({', '.join(claims)})")
        if len(winners) > 1:
            raise SlmError(f"{' and '.join(winners)} both claim {claims[winners[0]]!r}; name one with use")
        return self.named(stage.hook, winners[0], stage.options, stage.path, f"it claims {claims[winners[0]]!r}")

    def best(self, hook: str, options: Mapping[str, Any], path: str) -> Choice | None:
        """The one highest bid among the plugins that know every option given."""
        offers = self.registry.offers(hook)
        built, why_not = self.candidates(offers, options, path)
        if not built and (len(why_not) < len(offers) or self.found):
            return None
        bids = {name: plugin.bid(self.job, self.hardware) for name, plugin in built.items()}
        top = max((bid.rank for bid in bids.values()), default=Rank.NO)
        winners = [name for name, bid in bids.items() if bid.rank is top]
        why_not |= {name: bid.why for name, bid in bids.items()}
        if top is Rank.NO:
            reasons = "; ".join(f"{name}: {why}" for name, why in why_not.items())
            raise SlmError(f"no {hook} plugin can do this ({reasons or 'none is installed'})")
        if len(winners) > 1:
            raise SlmError(f"{' and '.join(winners)} suit equally; name one with use")
        others = tuple((name, why) for name, why in why_not.items() if name != winners[0])
        bid = bids[winners[0]]
        return Choice(path, offers[winners[0]], built[winners[0]], options, bid, bid.why, others)

    def candidates(
        self, offers: Mapping[str, Offer], options: Mapping[str, Any], path: str
    ) -> tuple[dict[str, Plugin], dict[str, str]]:
        """The plugins that take these options, and why the others don't."""
        sound = {name: offer for name, offer in offers.items() if not offer.fault}
        why_not = {name: offer.fault for name, offer in offers.items() if name not in sound}
        fields = {name: option_names(offer) for name, offer in sound.items()}
        lacking = {name: [key for key in options if key not in fields[name]] for name in sound}
        knowing = [name for name in sound if not lacking[name]]
        if sound and not knowing:
            everyone = sorted({key for names in fields.values() for key in names})
            strange = [key for key in options if key not in everyone]
            if not strange:
                raise SlmError(f"no plugin knows {', '.join(options)} together; name one with use")
            self.found.extend(unknown(key, [*everyone, "use"], path) for key in strange)
        why_not |= {name: f"it has no option {lack[0]!r}" for name, lack in lacking.items() if lack}
        return {name: plugin for name in knowing if (plugin := self.build(sound[name], options, path))}, why_not

    def willing(self, hook: str, at_least: Rank, path: str, but: Sequence[str] = ()) -> list[Choice]:
        """Every plugin of a hook that bids `at_least`, unasked, with its defaults."""
        made = []
        for name, offer in self.registry.offers(hook).items():
            if name in but or offer.fault:
                continue
            plugin = self.build(offer, {}, path)
            if plugin and (bid := plugin.bid(self.job, self.hardware)).rank >= at_least:
                made.append(Choice(path, offer, plugin, {}, bid, bid.why))
        return made

    def build(self, offer: Offer, options: Mapping[str, Any], path: str) -> Plugin | None:
        """The plugin with its options; None with the mistakes noted."""
        return build(offer, options, path, self.found)


def build(offer: Offer, options: Mapping[str, Any], path: str, found: list[Mistake]) -> Plugin | None:
    """Make the plugin; secrets are filled in here and kept nowhere else, so none may stand in the file itself."""
    for option in offer.options:
        value = options.get(option.alias)
        if option.metadata.get("secret") and value and not SECRET.search(str(value)):
            found.append(Mistake(f"{path}.{option.alias}", f"a secret stands in the file; {ASIDE}"))
    try:
        plugin, wrong = attempt(expand(options), offer.plugin, path)
    except SlmError as error:
        wrong, plugin = [Mistake(path, str(error))], None
    found += wrong
    return plugin


def option_names(offer: Offer) -> list[str]:
    """The names of a plugin's options."""
    return [a.alias for a in offer.options]


def longest_claim(offer: Offer, source: Source) -> str:
    """The longest of a loader's claims that fits; empty for none, and for a loader that does not import."""
    if offer.fault:
        return ""
    address = source.address.lower()
    folder = source.is_path and source.path.is_dir()
    fits = [
        claim
        for claim in getattr(offer.plugin, "claims", ())
        if (folder and claim == "/")
        or (claim.endswith("://") and address.startswith(claim))
        or (claim.startswith(".") and source.is_path and not folder and address.endswith(claim))
        or ("*" in claim and fnmatchcase(re.split("[?#]", address)[0], claim))
    ]
    return max(fits, key=len, default="")


def engine_for(chooser: Chooser, form: str, use: str | None = None) -> Choice:
    """The engine for a model's format: the one named, or the best bid of those that open it."""
    offers = chooser.registry.offers("engine")
    if use:
        chosen = chooser.named("engine", use, {}, "engine")
        if chosen is None or form not in getattr(chosen.plugin, "formats", ()):
            raise SlmError(f"engine {use!r} does not open the format {form!r}")
        return chosen
    able = [n for n, o in offers.items() if not o.fault and form in getattr(o.plugin, "formats", ())]
    if not able:
        raise SlmError(f"no engine opens the format {form!r}; installed: {', '.join(offers) or 'none'}")
    fitting = Registry(lambda hook: [offers[name].entry for name in able], frozenset())
    chosen = attrs.evolve(chooser, registry=fitting).best("engine", {}, "engine")
    if chosen is None:
        raise SlmError(f"no engine for the format {form!r} can be set up")
    return chosen
