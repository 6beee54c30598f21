from fastapi import FastAPI

api = FastAPI()


@api.get("/health")
def health() -> dict[str, str]:
    return {"status": "ready"}


@api.get("/double/{number}")
def double(number: float) -> dict[str, float]:
    return {"result": 2 * number}
