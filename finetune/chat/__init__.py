"""`python -m finetune chat`: requests typed at a run's model, whose calls a domain carries out."""
