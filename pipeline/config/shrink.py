"""Settings of progressive architecture shrinkage (Ch. 6)."""

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field, NonNegativeFloat, PositiveFloat, model_validator

from pipeline.config.base import Count, Name, Settings, Variant
from pipeline.config.distillation import KlWeight, weight_for
from pipeline.config.training import Epochs

Operator = Literal["s", "t", "f", "c", "l"]


class FactorSettings(Settings):
    """By how much each operator of Sec. 6.1.1 reduces its axis: γ of Sec. 6.2.2."""

    s: float = Field(gt=1, le=16, description="Spatial resolution: height and width. The thesis: 1.4.")
    t: float = Field(gt=1, le=64, description="Length of the clip: the first frames stay. The thesis: 2.")
    f: int = Field(gt=1, le=64, description="Frame rate: one frame in this many is kept. The thesis: 2.")
    c: float = Field(gt=1, le=16, description="Channels of every convolution. The thesis: 1.4.")
    l: float = Field(gt=1, le=16, description="Residual blocks of every stage. The thesis: 2.")  # noqa: E741 (the thesis's letter)


class HalvingSettings(Settings):
    """Successive halving within an iteration: hypotheses that start badly stop early (beyond the thesis)."""

    epochs: Count = Field(
        description="Epochs after which all hypotheses are compared; fewer than `shrink.epochs`. Fewer save more, and "
        "judge worse."
    )
    keep: Count = Field(description="How many of them go on; fewer than there are `operators`.")


class PlanSettings(Settings):
    """One way to shrink: the thesis's, an ablation of it, or one of its open problems."""

    renamed: ClassVar[Mapping[str, str]] = {
        "follow": "start_from",
        "stored": "store_logits",
        "inherit": "inherit_weights",
    }

    operators: tuple[Annotated[str, Field(pattern=r"^[stfcl]{1,4}$")], ...] = Field(
        min_length=1,
        description="The hypotheses of an iteration, in Algorithm 1's order, which breaks ties. Several letters are "
        "several operators in one step; Eq. 6.1 then chooses, as costs differ. The thesis: s, t, f, c, l.",
    )
    start_from: Name | None = Field(
        description="A plan from whose winners iterations start, for ablations of single ones. null: its own."
    )
    teacher: Literal["train", "eval"] | None = Field(
        description="Batch norm of the teacher: statistics of the micro-batch (`train`, the thesis's) or the learnt "
        "ones (`eval`, Table 6.8). null: no distillation (Table 6.4)."
    )
    store_logits: bool = Field(
        description="Compute the teacher's logits of every clip once, for all hypotheses: less computing for more disk "
        "space, the same result."
    )
    fine_tuning: bool = Field(
        description="Operators s, t and f start from the previous winner's weights (Sec. 6.1.4). false: at random "
        "(Table 6.4)."
    )
    inherit_weights: bool = Field(
        description="Operators c and l start from a part of the previous winner's weights, instead of at random as in "
        "the thesis."
    )
    features: Literal["mse", "margin_relu"] | None = Field(
        description="A loss on the activations of each residual stage (Table 6.7); operator l of a ResNet only. null: "
        "none, as in the thesis's final form (Sec. 6.2.5)."
    )
    halving: HalvingSettings | None = Field(
        description="Stop hypotheses that start badly (beyond the thesis). null: every hypothesis is trained to its "
        "end."
    )

    @model_validator(mode="after")
    def _makes_sense(self) -> "PlanSettings":
        if len(set(self.operators)) != len(self.operators):
            raise ValueError(f"`operators` names a hypothesis twice: {list(self.operators)}")
        if self.teacher is None and (self.store_logits or self.features):
            raise ValueError("`store_logits` and `features` need a `teacher`")
        if self.store_logits and self.features:
            raise ValueError("`features` needs the live teacher: set `store_logits` to false")
        if self.features and set(self.operators) != {"l"}:
            raise ValueError("`features` needs `operators` [l]: the others change the shapes of the activations")
        if self.halving and self.halving.keep >= len(self.operators):
            raise ValueError(f"`halving` keeps {self.halving.keep} of {len(self.operators)} hypotheses: nothing stops")
        return self


class TransferSettings(Settings):
    """Fine-tuning of base and reduced networks that were made on another dataset (Table 6.6)."""

    base: str = Field(description="Model file of the base network; {recipe} is filled in.")
    reduced: str = Field(description="Model file of a reduced network; {recipe} and {iteration} are filled in.")


class BaseNetworkSettings(Settings):
    """The network that shrinking starts from, and that teaches all hypotheses."""

    variant: Variant = Field(
        description="The frames that it was trained on. Hypotheses are trained and tested on the same, and no others "
        "are read. The thesis: `none`, the original ones (Sec. 6.2.2)."
    )
    strategy: Name | None = Field(
        description="Of `classify.strategies`: how it is trained; with faces or bodies and kd, a student of Ch. 5. "
        "null: `model` is given. The thesis: cross_entropy."
    )
    model: str | None = Field(
        description="A model file in place of a network that is trained here, of the same classes and recipe, such as "
        "a published checkpoint after `acta model convert`; {recipe} is filled in. null: `strategy` is given."
    )

    @model_validator(mode="after")
    def _one_source(self) -> "BaseNetworkSettings":
        if (self.strategy is None) == (self.model is None):
            raise ValueError("give one of `strategy` and `model`, and null for the other")
        return self


class ShrinkSettings(Settings):
    """Progressive architecture shrinkage, Ch. 6."""

    recipes: tuple[Name, ...] = Field(
        description="Of `classify.recipes`: the base networks to shrink. The thesis: R(2+1)D and SlowFast (Sec. 6.2.2)."
    )
    base: BaseNetworkSettings = Field(description="Where the base networks come from.")
    split: Name = Field(
        description="Of `classify.splits`: whose videos train and choose. The thesis, on UCF101: the first (Table 6.9)."
    )
    iterations: int = Field(
        ge=1,
        le=20,
        description="How many operators are applied, one after another. More add jobs and rerun none. The thesis: 5, "
        "three to five being enough (Sec. 6.2.2).",
    )
    factors: FactorSettings = Field(
        description="By how much each operator of Sec. 6.1.1 reduces its axis: γ of Sec. 6.2.2, chosen so that each "
        "about halves the multiply-adds. Smaller ones give better trade-offs in more iterations."
    )
    alpha: KlWeight = Field(
        description="α of Eq. 6.7, the weight of the distillation; the divergence is a mean over batch and classes. "
        "`1.25 per class` grows with the number of classes. The thesis: 500 for 400 classes (Sec. 6.2.2)."
    )
    temperature: PositiveFloat = Field(description="t of Eqs. 6.6 and 6.7. The thesis: 5 (Sec. 6.2.2).")
    epochs: Epochs = Field(
        description="Of each hypothesis. The thesis: 45, as many as of the base network (Sec. 6.2.2)."
    )
    fine_tuning_rate: PositiveFloat = Field(
        description="Factor on the learning rate where weights are inherited whole. The thesis: 0.1 (Sec. 6.2.2)."
    )
    feature_weight: NonNegativeFloat = Field(
        description="Weight of the loss on activations (Table 6.7); the thesis does not give its own."
    )
    plans: dict[Name, PlanSettings] = Field(
        description="Ways to shrink, by name; pas is the thesis's Algorithm 1, the others are its ablations and open "
        "problems."
    )
    tables: tuple[
        Annotated[str, Field(pattern=r"^(table_6_([1-9]|10)|figure_6_[34]|shrink_costs|shrink_beyond)$")], ...
    ] = Field(
        description="What `snakemake shrink` makes, in addition to the exported networks; each is a target of its own "
        "too."
    )
    transfer: TransferSettings | None = Field(
        description="Networks made on another dataset, to fine-tune on this one (Table 6.6). null: none."
    )

    @model_validator(mode="after")
    def _plans_are_known(self) -> "ShrinkSettings":
        if "pas" not in self.plans:
            raise ValueError("plan 'pas' is missing; the tables need it")
        for name, plan in self.plans.items():
            if plan.start_from is not None and (plan.start_from == name or plan.start_from not in self.plans):
                raise ValueError(f"plan {name!r} follows {plan.start_from!r}; known: {', '.join(self.plans)}")
            if plan.start_from is not None and self.plans[plan.start_from].start_from is not None:
                raise ValueError(f"plan {name!r} follows {plan.start_from!r}, which has no winners of its own")
            if plan.features and weight_for(self.alpha, 1) == 0:
                raise ValueError(f"plan {name!r} has `features`, which need a teacher, but `alpha` is 0")
            if plan.halving and plan.halving.epochs >= self.epochs:
                raise ValueError(f"plan {name!r} halves after {plan.halving.epochs} of {self.epochs} epochs")
        return self
