"""Names the content type of files by what is in them, with the Magika model."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import onnxruntime
from magika import Magika, PredictionMode

# What the model says when it will not commit itself: such an answer contradicts no file name.
VAGUE = {"txt", "unknown", "empty", "undefined", "directory", "symlink"}
# Every JavaScript file is a TypeScript file as well.
ALIKE = [{"javascript", "typescript"}]
# An answer less sure than this does not accuse a file's name.
SURE = 0.9


class OneThreadMagika(Magika):
    """Workers are what makes it parallel: a pool of threads in each would only fight for the same cores."""

    def _init_onnx_session(self):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.inter_op_num_threads = 1
        return onnxruntime.InferenceSession(self._model_path, options, providers=["CPUExecutionProvider"])


class Handler:
    def __init__(self, config):
        mode = PredictionMode(config.get("mode", "high_confidence"))
        self.magika = OneThreadMagika(prediction_mode=mode)
        self.labels_by_extension = {}
        for label in self.magika.get_output_content_types():
            for extension in self.magika._get_ct_info(label).extensions:
                self.labels_by_extension.setdefault(extension, set()).add(str(label))

    def handle_batch(self, payload):
        """Payload: file:// URIs. One result per file, in the same order."""
        paths = [path_of(uri) for uri in payload]
        return [self.result(path, found) for path, found in zip(paths, self.magika.identify_paths(paths))]

    def result(self, path, found):
        if not found.ok:
            # Gone or locked since the job was listed: said in its row, so that its neighbours keep theirs.
            return {"path": str(path), "error": str(found.status)}
        kind = found.output
        return {
            "path": str(path),
            "label": str(kind.label),
            "group": kind.group,
            "mime": kind.mime_type,
            "score": round(found.score, 3),
            "misnamed": self.is_misnamed(path, str(kind.label), found.score),
        }

    def is_misnamed(self, path, label, score):
        """True when the name's extension belongs to other types than the one that the content has."""
        claimed = self.labels_by_extension.get(path.suffix[1:].lower(), set())
        if not claimed or label in VAGUE or score < SURE or label in claimed:
            return False
        return not any(label in alike and claimed & alike for alike in ALIKE) and "txt" not in claimed


def path_of(uri):
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise ValueError(f"expected a file:// URI, found the scheme {parts.scheme!r}")
    return Path(unquote(parts.path))
