from fusionclf.cli import main

main()
