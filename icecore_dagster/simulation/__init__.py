"""Particles that never were: samples drawn, imaged and written as complete FlowCam run folders."""
