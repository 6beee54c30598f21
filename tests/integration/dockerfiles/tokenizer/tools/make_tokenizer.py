import sys

from tokenizers import Tokenizer, models, pre_tokenizers, trainers

tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
tokenizer.train([sys.argv[1]], trainers.WordLevelTrainer(special_tokens=["[UNK]"]))
tokenizer.save(sys.argv[2])
