"""Opens a version with MLflow: check_load_model.py MODEL_URI PROMPTS, which are JSON. Prints JSON."""

import json
import sys

import mlflow
import pandas

uri, prompts = sys.argv[1], json.loads(sys.argv[2])
model = mlflow.pyfunc.load_model(uri)
frame = pandas.DataFrame({"prompt": prompts})
report = {"texts": {}, "inputs": model.metadata.get_input_schema().to_dict(),
          "params": [param.name for param in model.metadata.get_params_schema().params],
          "example": model.input_example.to_dict(orient="list")}
for name, params in {"cold": {"temperature": 0.0}, "one": {"seed": 1, "max_tokens": 24},
                     "again": {"seed": 1, "max_tokens": 24}, "two": {"seed": 2, "max_tokens": 24},
                     "half": {"temperature": 0.5, "candidates": 20, "max_tokens": 12}}.items():
    try:
        report["texts"][name] = model.predict(frame, params=params)
    except Exception as error:
        report["texts"][name] = [str(error)]
report["default"] = model.predict({"prompt": prompts[:1]})
report["signatures"] = sorted(mlflow.tensorflow.load_model(uri).signatures)
print("REPORT " + json.dumps(report))
