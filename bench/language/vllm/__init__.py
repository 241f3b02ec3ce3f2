"""Language models in this process through vLLM, which is installed by the user."""
