"""What `capture` is made of: who is running, where its map lies, and how each kind is read.

* `recorder`: the stack of module calls, from which names and places follow;
* `records`: the list that fills;
* `calls`: a call of torchvision's operator as a record;
* `placing`: where a map lies on the image;
* `reader`, `readers`: kinds of modules that the dispatcher does not know;
* `given_offsets`, `packs`, `aggregations`, `attention`, `own`: a kind each.
"""
