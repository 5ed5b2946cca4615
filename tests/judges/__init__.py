"""Other people's clients against the simulator: whoever wrote them read the venues' documents, not our code."""
