"""The picture network of a loaded model, which is prepared when the first picture comes."""

from pathlib import Path
from threading import Lock
from typing import Any

from fusionclf.config import RunConfig
from fusionclf.console import Console
from fusionclf.models.backbones import image_architecture
from fusionclf.models.encoders import ImageEncoder, fold_encoder
from fusionclf.models.engine import Engine
from fusionclf.models.registry import Model
from fusionclf.models.storage import fill_picture_network, lacks_picture_network, picture_weights
from fusionclf.models.traced_network import picture_key
from fusionclf.training import to_device


class LatePictureNetwork:
    """Opens the kept ONNX graph of a model's picture network, or builds the network.

    A graph needs neither the library of the network nor its modules, which take seconds to import and to build.

    Args:
        model: loaded, with its picture network or without.
        folder: the run's model folder.
        part: name of the stage.
        settings: the run's.
        checksum: of the stored weights when the model was loaded.
    """

    def __init__(
        self, model: Model, folder: Path, part: str, settings: RunConfig[Any], checksum: str | None
    ) -> None:
        self._model, self._stored, self._checksum = model, (folder, part), checksum
        self._params = settings.model
        shown = settings.pictures.chosen
        self._size = (shown.height, shown.width)
        self._key: str | None = None  # of the graph
        self._ready_for = -1  # products
        self._preparing = Lock()  # several threads may predict

    def prepare(self, engine: Engine, count: int, console: Console) -> None:
        """Have the network ready.

        Args:
            engine: what is to run it.
            count: products to come; 0 for a few.
            console: shows that a graph is exported, and why torch runs the network.

        Raises:
            RunError: the stored weights cannot be used.
            SettingsError: the engine is "onnx", and ONNX Runtime cannot run the network.
        """
        image = self._model.image
        assert image is not None
        with self._preparing:
            if count <= self._ready_for:
                return
            if not lacks_picture_network(self._model) or not self._open_graph(image, engine):
                engine.start(image, count, self._size, console, self._key)
            if image.graph is None and not image.is_folded:
                fold_encoder(image, self._size)
                to_device(image, engine.device)
            self._ready_for = count

    def _open_graph(self, image: ImageEncoder, engine: Engine) -> bool:
        """Open the kept graph; where there is none to run, build the network and return False."""
        weights = picture_weights(self._model, *self._stored, self._checksum)
        if engine.may_use_graphs:
            chosen = self._params.image
            architecture = image_architecture(chosen.library, chosen.backbone, chosen.regions)
            self._key = picture_key(weights, architecture, self._size)
            image.graph = engine.open_kept(self._key)
        if image.graph is None:
            fill_picture_network(self._model, *self._stored, self._params, weights)
        return image.graph is not None
