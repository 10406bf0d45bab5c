"""Labels, events and health for a message broker."""

from effvit_edge.sinks.mqtt.outbox import Pace
from effvit_edge.sinks.mqtt.sink import MqttSink

__all__ = ["MqttSink", "Pace"]
