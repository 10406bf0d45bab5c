"""Does the time that a run says is left come true?"""
