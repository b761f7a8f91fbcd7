"""What the issues ask for, line by line: each test says by `@pytest.mark.acceptance("<the line>")` what it shows to hold."""
