"""Who answers: a server (`openai`), weights on this machine (`transformers`), or nobody but known facts (`rules`)."""
