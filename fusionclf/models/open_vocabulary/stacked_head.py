"""The stacked head: logits of all classes from base learners (level 0) and name-match features.

A seen class gets its logit from a probe of the base model's features, the linear text model, and how well its name
matches the title. An unseen class gets it from its name, and from prototypes where it has support rows.
Meta-classifiers (level 1) turn these into logits: one for products with picture and title, one for each modality alone.
They are fitted on meta-training folds, whose query rows neither base learner was fitted on. In an open vocabulary these
folds also hold classes out, so the balance between seen and unseen classes is learned from training rows.

Source: generalised zero-shot learning, Chao et al. (2016), where the balance is one constant (calibrated stacking);
folds over held-out classes follow Vinyals et al., Matching Networks (2016).
"""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from fusionclf.models.open_vocabulary.level_zero import MODALITIES, ClassFacts, LevelZero, typical_share
from fusionclf.models.open_vocabulary.linear_probe import LinearProbe
from fusionclf.models.open_vocabulary.meta_classifier import MetaClassifier
from fusionclf.models.open_vocabulary.name_match_features import NAME_MATCH_FEATURES
from fusionclf.models.open_vocabulary.prototypes import Prototypes
from fusionclf.models.outputs import BaseOutputs

PAIRS_AT_ONCE = 2**16  # of a product and a class, whose meta-features are computed together: 50 MB


class StackedHead(nn.Module):
    """Logits of C classes, (B, C).

    Args:
        classes: C.
        dim: width of the base model's features.
        text_dim: width of the sentence embeddings.
        paths: whether a class's place in the category graph counts.
        allows_unseen: whether the vocabulary is open: classes without a training row are candidates, and others can be
            added. If not, their logits are MASKED_LOGIT.
        unseen_share: expected share of products that are of an unseen class; None: each unseen class is taken to be as
            frequent as the median of the seen ones.
    """

    counts: Tensor
    share: Tensor
    of_names: Tensor

    def __init__(
        self,
        classes: int,
        dim: int,
        text_dim: int,
        paths: bool = True,
        allows_unseen: bool = True,
        unseen_share: float | None = None,
    ) -> None:
        super().__init__()
        self.paths, self.allows_unseen, self.unseen_share = paths, allows_unseen, unseen_share
        self.register_buffer("counts", torch.ones(classes, dtype=torch.long))
        self.register_buffer("share", torch.ones(()))
        self.register_buffer("of_names", torch.zeros(2, 0, classes))
        self.prototypes = Prototypes(classes, dim, text_dim)
        self.probe = LinearProbe(dim, classes)
        self.meta_classifiers = nn.ModuleDict({modality: MetaClassifier() for modality in MODALITIES})

    @property
    def facts(self) -> ClassFacts:
        """What is known of the classes."""
        return ClassFacts.of(self.counts, self.prototypes.available, self.share, self.of_names)

    def set_fitted(
        self,
        probe: LinearProbe,
        counts: Tensor,
        meta_classifiers: Mapping[str, MetaClassifier],
        of_names: Tensor,
    ) -> None:
        """Take over what was learned; prototypes of classes that were added are dropped."""
        device = self.counts.device
        self.of_names = of_names.to(device)
        self.probe.load_state_dict(probe.state_dict())
        self.counts.copy_(counts)
        share, unseen = typical_share(counts), int((counts == 0).sum())
        if self.unseen_share is not None and unseen:
            share = torch.tensor(self.unseen_share / (1 - self.unseen_share) / unseen)
        self.share.copy_(share)
        self.meta_classifiers = nn.ModuleDict(dict(meta_classifiers)).to(device)
        for buffer in self.prototypes.buffers():
            buffer.zero_()

    def add_names(self, scores: Tensor) -> None:
        """Add unseen classes, whose names no training title is taken to contain.

        Args:
            scores: (u, C) of the linear text model for their names.
        """
        seen = scores[:, (self.counts > 0).nonzero().squeeze(1)].to(self.of_names)
        self.of_names = torch.cat([self.of_names, torch.stack([seen, torch.zeros_like(seen)])], dim=1)

    def _load_from_state_dict(
        self, state_dict: Mapping[str, Any], prefix: str, *args: Any, **more: Any
    ) -> None:
        """Take a tensor of any number of unseen classes: how many there are is known by the weights alone."""
        stored = state_dict.get(prefix + "of_names")
        if stored is not None and stored.ndim == self.of_names.ndim:
            self.of_names = torch.empty_like(stored, device=self.of_names.device)
        super()._load_from_state_dict(state_dict, prefix, *args, **more)

    def forward(self, outputs: BaseOutputs) -> Tensor:
        """(B, C) logits."""
        # These weights were fitted in single precision.
        with torch.autocast(outputs.linear_text.device.type, enabled=False):
            level_zero, facts = self.level_zero(outputs), self.facts
            logits = torch.zeros_like(outputs.linear_text, dtype=torch.float32)
            for modality, rows in self._by_modality(outputs):
                own = self.subset(level_zero, rows, modality, outputs.base_reads_titles)
                logits[rows] = self.logits(own, modality, facts)
            return logits

    def level_zero(self, outputs: BaseOutputs) -> LevelZero:
        """What the base learners give for all products."""
        assert outputs.name_match is not None and outputs.embedding is not None, "the titles are not prepared"
        return LevelZero(
            self.probe(outputs.features),
            outputs.linear_text,
            self.used_name_match(outputs.name_match),
            self.prototypes.similarity(outputs.features, outputs.embedding),
            outputs.picture_match,
        )

    def subset(
        self, level_zero: LevelZero, rows: Tensor | slice, modality: str, base_reads_titles: bool
    ) -> LevelZero:
        """That of some products; of a title alone, a base model that reads no titles gives nothing."""
        if modality == "title" and not base_reads_titles:
            level_zero = replace(level_zero, base=None)
        return level_zero.rows(rows).of_modality(modality)

    def logits(self, level_zero: LevelZero, modality: str, facts: ClassFacts) -> Tensor:
        """(B, C) by the meta-classifier of a modality."""
        return self.meta_classifiers[modality](level_zero, facts, self.allows_unseen)

    def used_name_match(self, name_match: Tensor) -> Tensor:
        """(B, C, 10) the features that count: 0 for `path` where paths are left out."""
        if self.paths:
            return name_match
        return name_match * name_match.new_tensor([name != "path" for name in NAME_MATCH_FEATURES])

    def _by_modality(self, outputs: BaseOutputs) -> Iterator[tuple[str, Tensor]]:
        """Places of products of one modality, a few at a time where there are thousands of classes.

        One without picture and title counts as one with a title.
        """
        logits = outputs.linear_text
        everything = torch.ones(len(logits), dtype=torch.bool, device=logits.device)
        picture = everything if outputs.has_picture is None else outputs.has_picture
        title = everything if outputs.has_title is None else outputs.has_title
        at_once = max(1, PAIRS_AT_ONCE // max(logits.shape[1], 1))
        for modality, mask in (
            ("both", picture & title), ("title", ~picture), ("picture", picture & ~title)
        ):  # fmt: skip
            if mask.any():
                for rows in mask.nonzero().squeeze(1).split(at_once):
                    yield modality, rows
