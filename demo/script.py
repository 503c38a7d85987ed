"""What somebody might write to try out the stock list of defects.h.

    python demo/script.py                                       runs it, as any script
    PYTHY_BACKEND=isolated python demo/script.py                also tells of every defect it meets
    valgrind --log-file=FILE python demo/script.py              so does this, with Python under Valgrind too

demo/run.py compiles the library and runs this in all ways. An argument names a file for the report.
"""

import sys

import pythy

lib = pythy.create_interface("demo/defects.h", "build/demo/libdefects.so")

stock = lib.stock_open()
lib.stock_add(stock, "apple", 3)
lib.stock_add(stock, "banana", 12)
print("lines read:", lib.stock_load(stock, "cherry 40\ndate 7"))
print("place of cherry:", lib.stock_place(stock, "cherry"))
print("apples taken away:", lib.stock_remove(stock, "apple"))
print("a line without a number:", lib.stock_load(stock, "elderberry"))

label = bytearray(6)
lib.stock_label("banana", label, len(label))
print("label:", label.decode())
lib.stock_close(stock)

if len(sys.argv) > 1:
    pythy.memory_report().to_json(sys.argv[1])
