"""Policy files, their ONNX runtime, observation and action mapping."""
