"""What a row looks like to the model: `preview` shows what is trained, `explain` what each token adds to the loss."""
