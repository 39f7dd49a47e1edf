"""The spreadsheet behind the documents: open workbooks, their edits, and the rules that check cells."""
