"""Names the content type of files by what is in them, with the Magika model."""

import io
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from urllib.parse import unquote, urlsplit

import boto3
import onnxruntime
from botocore.exceptions import ClientError
from magika import Magika, PredictionMode

# What the model says when it will not commit itself: such an answer contradicts no file name.
VAGUE = {"txt", "unknown", "empty", "undefined", "directory", "symlink"}
# Every JavaScript file is a TypeScript file as well.
ALIKE = [{"javascript", "typescript"}]
# An answer less sure than this does not accuse a file's name.
SURE = 0.9
# Objects that are fetched at once: each costs three requests, which wait rather than work.
FETCHES = 8


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
        self.client = None
        self.lock = Lock()

    def handle_batch(self, payload):
        """Payload: file:// and s3:// URIs. One result per file, in the same order."""
        paths = {uri: path_of(uri) for uri in payload if not uri.startswith("s3://")}
        objects = [uri for uri in payload if uri.startswith("s3://")]
        found = dict(zip(paths, self.magika.identify_paths(list(paths.values()))))
        if objects:
            with ThreadPoolExecutor(FETCHES) as threads:
                found.update(zip(objects, threads.map(self.in_s3, objects)))
        return [self.result(str(paths.get(uri, uri)), found[uri]) for uri in payload]

    def result(self, path, found):
        if found is None or not found.ok:
            # Gone or locked since the job was listed: said in its row, so that its neighbours keep theirs.
            return {"path": path, "error": "file_not_found_error" if found is None else str(found.status)}
        kind = found.output
        return {
            "path": path,
            "label": str(kind.label),
            "group": kind.group,
            "mime": kind.mime_type,
            "score": round(found.score, 3),
            "misnamed": self.is_misnamed(Path(path), str(kind.label), found.score),
        }

    def in_s3(self, uri):
        """None: there is no such object (any more)."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            return self.magika.identify_stream(io.BufferedReader(S3File(self.s3(), bucket, key)))
        except ClientError as error:
            if error.response["ResponseMetadata"]["HTTPStatusCode"] != 404:
                raise
            return None

    def s3(self):
        """Made when it is first needed: files of this machine need no credentials."""
        with self.lock:
            self.client = self.client or boto3.client("s3")
            return self.client

    def is_misnamed(self, path, label, score):
        """True when the name's extension belongs to other types than the one that the content has."""
        claimed = self.labels_by_extension.get(path.suffix[1:].lower(), set())
        if not claimed or label in VAGUE or score < SURE or label in claimed:
            return False
        return not any(label in alike and claimed & alike for alike in ALIKE) and "txt" not in claimed


def path_of(uri):
    parts = urlsplit(uri)
    if parts.scheme != "file":
        raise ValueError(f"expected a file:// or s3:// URI, found the scheme {parts.scheme!r}")
    return Path(unquote(parts.path))


class S3File(io.RawIOBase):
    """An object of a bucket as a file: the model reads the beginning and the end, and only those bytes are fetched."""

    def __init__(self, s3, bucket, key):
        super().__init__()
        self.s3 = s3
        self.object = {"Bucket": bucket, "Key": key}
        self.size = s3.head_object(**self.object)["ContentLength"]
        self.at = 0

    def readable(self):
        return True

    def seekable(self):
        return True

    def tell(self):
        return self.at

    def seek(self, offset, whence=io.SEEK_SET):
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self.at, io.SEEK_END: self.size}[whence]
        self.at = max(0, start + offset)
        return self.at

    def readinto(self, buffer):
        end = min(self.at + len(buffer), self.size)
        if end <= self.at:
            return 0
        found = self.s3.get_object(**self.object, Range=f"bytes={self.at}-{end - 1}")["Body"].read()
        buffer[: len(found)] = found
        self.at += len(found)
        return len(found)
