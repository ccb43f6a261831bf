import mlflow

model = mlflow.pyfunc.load_model("models:/stories@champion")
print(model.predict({"prompt": ["Once upon a time"]}, params={"temperature": 0.5, "seed": 1}))
