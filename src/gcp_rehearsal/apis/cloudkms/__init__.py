"""Cloud KMS: rings of keys, their versions, and who may use them."""
