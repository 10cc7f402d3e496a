"""What a person does with a study beside running it: look ahead, look after it, hand it on."""
