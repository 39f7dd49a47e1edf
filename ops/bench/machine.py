"""What a figure was measured on: without it an absolute figure says nothing."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

import psutil

KAFKA_POM = Path(__file__).parents[1] / "kafka" / "pom.xml"


def describe() -> dict[str, str | int]:
    """Cores, processor, memory, kernel, and the versions that matter."""
    return {
        "cores": psutil.cpu_count() or 0,
        "processor": _processor(),
        "memory_gb": round(psutil.virtual_memory().total / 2**30),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "kafka": _kafka(),
        "confluent_kafka": version("confluent-kafka"),
        "faust_streaming": version("faust-streaming"),
        "aiokafka": version("aiokafka"),
        "load_before": f"{os.getloadavg()[0]:.2f}",
    }


def _processor() -> str:
    cpus = Path("/proc/cpuinfo")
    lines = cpus.read_text().splitlines() if cpus.exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def _kafka() -> str:
    """The version that our own stack starts."""
    from xml.etree import ElementTree

    found = [node.text or "" for node in ElementTree.parse(KAFKA_POM).iter() if node.tag.endswith("version")]
    return next((text for text in found if text.count(".") == 2 and text[0].isdigit()), "unknown")
